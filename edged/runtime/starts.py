"""Counts the daemon's starts that did not last, over the lives of its processes: too many soon are a crash loop.

<state>/starts.json    those of late, and what ended the last one

A start is written down before anything is risked, so that a process that is killed or torn down counts too. Times are
those of the computer's own uptime: a clock that is set changes nothing, and a reboot begins anew.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edged import __version__
from edged.config import Config
from edged.files import write_durably

_log = logging.getLogger(__name__)

RECORD_NAME = "starts.json"
MAX_RECORD_BYTES = 1 << 16
MAX_ERROR_CHARACTERS = 2000
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SILENT = "it ended without a word: killed, out of memory, or a crash in native code"
_FIX = "mend that (`edged doctor`, and the log: `journalctl -u edged`), then `edged restart`"


class _Record(BaseModel):
    """What is stored.

    Attributes:
        what: digest of version and configuration: what was changed gets a chance of its own.
        boot: identity of the computer's uptime that the times count from.
        started_s: starts that have not lasted, oldest first.
        error: what ended the last one, as far as it could say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    what: str = ""
    boot: str = ""
    started_s: tuple[Annotated[float, Field(ge=0)], ...] = Field(default=(), max_length=1000)
    error: str = Field(default="", max_length=MAX_ERROR_CHARACTERS)


@dataclass(frozen=True, slots=True)
class CrashLoop:
    """Why the daemon starts in safe mode.

    Attributes:
        reason: one sentence.
        last_error: what ended the last start, as far as it could say.
        fix: what to do about it.
    """

    reason: str
    last_error: str
    fix: str = _FIX

    def __str__(self) -> str:
        return f"{self.reason}; the last time: {self.last_error}; {self.fix}"

    def facts(self) -> dict[str, Any]:
        """For `edged status`."""
        return asdict(self)


class Starts:
    """The record of a state directory; belongs to who holds its lock.

    A disk that refuses it costs the count, never the start.

    Args:
        now_s: seconds of the computer's uptime; replaced in tests.
        boot: identity of that uptime.
    """

    def __init__(self, config: Config, now_s: Callable[[], float] | None = None, boot: str | None = None) -> None:
        self._path = config.state_path / RECORD_NAME
        self._settings = config.service
        self._now_s = now_s or (lambda: time.clock_gettime(time.CLOCK_BOOTTIME))
        self._what = hashlib.sha256(f"{__version__} {config.model_dump_json()}".encode()).hexdigest()[:16]
        self._boot = _boot_id() if boot is None else boot

    def begin(self) -> CrashLoop | None:
        """Count this start; or why it would be one too many: it is not counted then."""
        known, now_s = self._read(), self._now_s()
        if (known.what, known.boot) != (self._what, self._boot):
            known = _Record(what=self._what, boot=self._boot)
        window_s = self._settings.crash_window_s
        lately = tuple(started_s for started_s in known.started_s if now_s - window_s < started_s <= now_s)
        if len(lately) >= self._settings.crash_limit:
            reason = f"the last {len(lately)} starts within {window_s:g} s did not last"
            return CrashLoop(reason, known.error or _SILENT)
        self._write(known.model_copy(update={"started_s": (*lately, now_s), "error": ""}))
        return None

    def failed(self, error: str) -> None:
        """Remember what ended this start."""
        text = error.encode("utf-8", "backslashreplace").decode()[:MAX_ERROR_CHARACTERS]
        self._write(self._read().model_copy(update={"error": text}))

    def forget(self) -> None:
        """This start has lasted, or was ended on purpose: those before it are no crash loop."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s stays: %s", self._path, error)

    def _read(self) -> _Record:
        """The record; an empty one where there is none, or none that can be read."""
        try:
            with self._path.open("rb") as handle:
                return _Record.model_validate_json(handle.read(MAX_RECORD_BYTES))
        except FileNotFoundError:
            pass
        except (OSError, ValidationError) as error:
            _log.warning("%s cannot be used, starts are counted anew: %s", self._path, str(error).splitlines()[0])
        return _Record()

    def _write(self, record: _Record) -> None:
        try:
            write_durably(self._path, record.model_dump_json().encode())
        except OSError as error:
            _log.warning("%s: starts cannot be counted: %s", self._path, error)


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
