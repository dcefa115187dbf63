"""The arguments of every verb of the control socket, checked before anything is done."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from edged.assembly import MonitorName
from edged.errors import ControlError
from edged.events.journal import MAX_REPLAY_EVENTS
from edged.references.feedback import Verdict
from edged.references.keyword_enroll import MAX_COUNTERS
from edged.references.search import MAX_FILES

_MAX_NUMBER = 1 << 62
"""What SQLite can hold, and a little less."""


class _Args(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CounterArgs(_Args):
    """Clips, sent or named, of a word that a keyword must not be taken for."""

    transfer: str | None = None
    clips: list[str] = Field(default_factory=list, max_length=1000)


class EnrollArgs(_Args):
    """Clips that were sent or are named, the sound of past events, or the last seconds of a running stream."""

    stream: str | None = None
    transfer: str | None = None
    clips: list[str] = Field(default_factory=list, max_length=10_000)
    events: list[str] = Field(default_factory=list, max_length=1000)
    last_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    domain: str | None = None
    keyword: str | None = None
    counters: dict[str, CounterArgs] = Field(default_factory=dict, max_length=MAX_COUNTERS)
    average: bool = False
    channel: int = Field(default=0, ge=0, le=63)
    dry_run: bool = False
    force: bool = False

    @property
    def changes_word(self) -> bool:
        """Whether an enrolled word is to be changed, without clips of it."""
        has_clips = bool(self.clips) or self.transfer is not None
        return self.keyword is not None and not has_clips and (bool(self.counters) or self.average)


class FeedbackArgs(_Args):
    """What an operator says of an anomaly event."""

    event: str = Field(min_length=1, max_length=200)
    verdict: Verdict
    domain: str | None = None
    dry_run: bool = False
    force: bool = False


class BankArgs(_Args):
    """A bank, or a version of it."""

    stream: str
    monitor: MonitorName = "anomaly"
    version: int | None = Field(default=None, ge=1, le=_MAX_NUMBER)


class ExportArgs(_Args):
    """A bank; the archive is fetched by the transfer that is answered."""

    stream: str
    monitor: MonitorName = "anomaly"


class ImportArgs(_Args):
    """An archive that was sent or is named, and the stream that takes it over."""

    stream: str
    transfer: str | None = None
    file: str | None = None
    signer: str | None = None
    dry_run: bool = False


class RefitArgs(_Args):
    """The stream whose anomaly references are fitted again."""

    stream: str


class ReplayArgs(_Args):
    """Events after a number (and before another), and since a time."""

    after: int = Field(default=0, ge=0, le=_MAX_NUMBER)
    before: int | None = Field(default=None, ge=0, le=_MAX_NUMBER)
    since: str | None = None
    topics: list[str] = Field(default_factory=lambda: [""], max_length=100)
    limit: int = Field(default=MAX_REPLAY_EVENTS, ge=1, le=MAX_REPLAY_EVENTS)


class TailArgs(_Args):
    """The latest scores of a stream."""

    stream: str
    limit: int = Field(default=20, ge=1, le=1000)


def _decoded(text: Any) -> bytes:
    if not isinstance(text, str):
        raise ValueError("must be Base64")
    return base64.b64decode(text, validate=True)  # pydantic's own type passes over what is no Base64


class PieceArgs(_Args):
    """A piece of a file that is sent."""

    transfer: str
    file: int = Field(ge=0, le=MAX_FILES)
    name: str
    offset: int = Field(ge=0, le=_MAX_NUMBER)
    data: Annotated[bytes, BeforeValidator(_decoded)]


class FetchArgs(_Args):
    """The next piece of a file that is fetched."""

    transfer: str
    offset: int = Field(default=0, ge=0, le=_MAX_NUMBER)


class EndArgs(_Args):
    """A transfer that is over."""

    transfer: str


class NoArgs(_Args):
    """Nothing."""


_A = TypeVar("_A", bound=_Args)


def parsed(model: type[_A], args: Mapping[str, Any]) -> _A:
    """Checked arguments.

    Raises:
        ControlError: naming the first that is wrong.
    """
    try:
        return model.model_validate(dict(args))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ControlError(f"argument {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
