"""What is published, as models; the JSON Schema files beside this module are generated from them.

Seconds (``onset_s``, ``offset_s``) count from the stream's sample 0 of this boot. Alarms and status events are
journalled and carry ``seq``; telemetry (scores, heartbeats) is not, and may be dropped.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from edged.flow import Severity

SCHEMA_DIR = Path(__file__).parent / "schemas"
HEARTBEAT_TOPIC = "edged.heartbeat"

Sample = Annotated[int, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)


class BundleRef(_Model):
    """Which model said so."""

    id: str
    digest: str


class Published(_Model, ABC):
    """What everything published has.

    Attributes:
        boot: one life of the daemon; sample indices and seconds count from its start.
        time: RFC 3339 UTC of what the message is about.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    kind: str
    boot: str
    time: str

    @property
    @abstractmethod
    def topic(self) -> str:
        """The first frame."""

    def fields(self) -> dict[str, Any]:
        """As a JSON object."""
        return self.model_dump(mode="json", by_alias=True)

    def to_json(self) -> bytes:
        """The second frame; what is no text, as in the name of a file, is escaped."""
        text = json.dumps(self.fields(), ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


class Journalled(Published):
    """What is never dropped: written to the journal before it is published.

    Attributes:
        seq: durable counter without holes; 0 until the publisher has numbered the event.
        journal: identity of the numbering; another one means that the state was made anew and counts from the start.
        journalled: false in what is published while the disk refuses; the journal has it later, or it is counted lost.
        id: unique, for `edged feedback`.
        lost_samples: samples of the stream (as this monitor hears it) that were never scored, until this event.
    """

    seq: int = Field(default=0, ge=0)
    journal: str = ""
    journalled: bool = True
    id: str = ""
    stream: str
    monitor: str
    epoch: int = Field(default=0, ge=0)
    lost_samples: int = Field(default=0, ge=0)

    @property
    def topic(self) -> str:
        """``<monitor>.<stream>``."""
        return f"{self.monitor}.{self.stream}"


class Detected(Journalled):
    """What every decision of a monitor carries.

    Attributes:
        sample_start: first sample the decision rests on; ``sample_end`` is one past the last.
        onset_s: where the thing itself began; ``offset_s`` where it ended, null while it lasts.
        score: higher = more anomalous, or more certainly the keyword.
        bank: version of the references that decided.
        clip: path of saved audio, if any.
    """

    sample_start: Sample
    sample_end: Sample
    onset_s: float = Field(ge=0)
    offset_s: float | None = None
    score: float
    threshold: float
    bundle: BundleRef
    bank: int = Field(ge=0)
    domain: str = ""
    details: dict[str, Any] = Field(default_factory=dict)
    clip: str | None = None


class AnomalyEvent(Detected):
    """The stream began, went on, or ceased to sound abnormal, or its sound drifts. Topic ``anomaly.<stream>``.

    Attributes:
        kind: ``onset``, ``update`` and ``cleared`` of a sudden anomaly; ``drift`` for a change over hours that raises
            no alarm: once when it sets in (``details.state`` is ``set in``, ``offset_s`` null) and once when it is
            ``gone``, with ``details.spreads`` beyond the enrolled sound and ``onset_s`` since when.
        severity: of the anomaly so far, from its peak and how long it has lasted; null for drift.
    """

    kind: Literal["onset", "update", "cleared", "drift"]
    severity: Severity | None = None
    monitor: Literal["anomaly"] = "anomaly"


class KeywordEvent(Detected):
    """An enrolled word was spoken from ``onset_s`` to ``offset_s``. Topic ``keyword.<stream>.<word>``."""

    kind: Literal["keyword"] = "keyword"
    monitor: Literal["keyword"] = "keyword"
    keyword: str

    @property
    def topic(self) -> str:
        """``keyword.<stream>.<word>``."""
        return f"keyword.{self.stream}.{self.keyword}"


class StatusEvent(Journalled):
    """Something about a stream, its device or the daemon changed. Topic ``status.<stream>``, or ``status.edged``.

    Attributes:
        subject: what changed: ``capture``, ``input``, ``bank``, ``threshold`` of a stream; ``daemon``, ``backend``,
            ``storage``, ``clips``, ``clock``, ``state``, ``threshold`` of ``edged``.
        state: what it is now.
        reason: why, for people.
    """

    kind: Literal["status"] = "status"
    monitor: Literal["status"] = "status"
    subject: str
    state: str
    reason: str = ""


class ScoreEvent(Published):
    """The score of one segment: telemetry. Topic ``score.<stream>``.

    Attributes:
        input: ``ok``, or what was wrong with the input: nothing is decided by such a score.
        discount: by how much the score was lowered for what the reference stream heard at the same time.
    """

    kind: Literal["score"] = "score"
    stream: str
    monitor: Literal["anomaly"] = "anomaly"
    sample_start: Sample
    sample_end: Sample
    score: float
    threshold: float
    domain: str
    bank: int = Field(ge=0)
    input: str = "ok"
    discount: float = 0.0

    @property
    def topic(self) -> str:
        """``score.<stream>``."""
        return f"score.{self.stream}"


class HeartbeatEvent(Published):
    """The daemon lives. Topic ``edged.heartbeat``.

    Attributes:
        last_seq: number of the last event: who has seen less has missed something.
        journal: identity of the numbering, as in events.
        every_s: the next heartbeat comes after so long.
        samples: per stream and monitor, the sample accounting.
        dropped_telemetry: scores that found the queue full, or the disk.
        storage: ``ok``; ``low`` or ``failing`` (or ``damaged``) = telemetry is off; see ``status.edged``.
        unjournalled: published events that wait for the journal; ``lost_from_journal`` never came into it.
        removed_from_journal: events removed for age or room in this life.
        refused: connections and requests that were refused, by why.
    """

    kind: Literal["heartbeat"] = "heartbeat"
    last_seq: int = Field(ge=0)
    journal: str = ""
    every_s: float = Field(default=0.0, ge=0)
    uptime_s: float = Field(ge=0)
    dropped_telemetry: int = Field(ge=0)
    storage: Literal["ok", "low", "failing", "damaged"] = "ok"
    unjournalled: int = Field(default=0, ge=0)
    lost_from_journal: int = Field(default=0, ge=0)
    removed_from_journal: int = Field(default=0, ge=0)
    refused: dict[str, int] = Field(default_factory=dict)
    samples: dict[str, dict[str, dict[str, int]]] = Field(default_factory=dict)

    @property
    def topic(self) -> str:
        """``edged.heartbeat``."""
        return HEARTBEAT_TOPIC


EVENT_MODELS: dict[str, type[Published]] = {
    "anomaly": AnomalyEvent,
    "keyword": KeywordEvent,
    "status": StatusEvent,
    "score": ScoreEvent,
    "heartbeat": HeartbeatEvent,
}
AnyEvent = Annotated[AnomalyEvent | KeywordEvent | StatusEvent | ScoreEvent | HeartbeatEvent, Field()]
_ANY_EVENT: TypeAdapter[Published] = TypeAdapter(AnyEvent)


def parse_event(body: bytes | str) -> Published:
    """A published JSON object as its model.

    Raises:
        pydantic.ValidationError: if it is none of them.
    """
    return _ANY_EVENT.validate_json(body)


def json_schemas() -> dict[str, str]:
    """File name -> text of each JSON Schema."""
    texts = {}
    for name, model in EVENT_MODELS.items():
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(by_alias=True)}
        texts[f"{name}.json"] = json.dumps(schema, indent=2, sort_keys=True) + "\n"
    return texts


def write_schemas(directory: Path = SCHEMA_DIR) -> None:
    """Write the schema files anew: ``python -m edged.events.schema``."""
    directory.mkdir(exist_ok=True)
    for name, text in json_schemas().items():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_schemas()
