"""The thread that saves the audio around events, from the streams' rings, once the sound after them was heard."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edged.clock import rfc3339
from edged.config import ClipsSettings
from edged.events.clips import ClipFolder, ClipOrigin, clip_name
from edged.flow import SAMPLE_RATE_HZ, Detection
from edged.ring import Stretch
from edged.runtime.messages import Announce, StatusChange
from edged.runtime.stream import Stream

_log = logging.getLogger(__name__)

MAX_WAITING = 64
"""Clips whose sound is still being heard; more at a time are lost, and counted."""
_LOOK_EVERY_S = 0.25
_STALLED_AFTER_S = 10.0
_CLEAN_EVERY_S = 3600.0


@dataclass
class _Wanted:
    """A clip whose end was not heard yet.

    Attributes:
        sample_start: first sample wanted; `sample_end` one past the last.
        anchor: a sample that must be in it: where a gap cuts it, the piece with the anchor is kept.
        heard_until: how far the stream was at `looked_s`, monotonic time: a stream that stands still is not waited for.
    """

    stream: Stream
    name: str
    origin: ClipOrigin
    sample_start: int
    sample_end: int
    anchor: int
    heard_until: int = -1
    looked_s: float = 0.0

    def is_heard(self, now_s: float) -> bool:
        if self.stream.ring.end != self.heard_until:
            self.heard_until, self.looked_s = self.stream.ring.end, now_s
        has_stalled = now_s - self.looked_s > _STALLED_AFTER_S
        return self.heard_until >= self.sample_end or self.stream.is_finished or has_stalled


class ClipSaver:
    """Takes wishes from the worker without ever making it wait.

    Args:
        boot: identity of this life of the daemon.
        announce: makes a status event.
    """

    def __init__(self, state_dir: Path, settings: ClipsSettings, boot: str, announce: Announce) -> None:
        self._folder = ClipFolder(state_dir, settings)
        self._settings, self._boot, self._announce = settings, boot, announce
        self._condition = threading.Condition()
        self._waiting: deque[_Wanted] = deque()
        self._latest: dict[tuple[str, str], tuple[tuple[int, int], str]] = {}
        self._stopping = self._is_failing = self._is_writing = False
        self.saved = 0
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name="clips", daemon=True)

    @property
    def removed(self) -> int:
        """Clips removed for age or room in this life."""
        return self._folder.removed

    @property
    def is_idle(self) -> bool:
        """Whether every clip asked for is saved or lost."""
        return not (self._waiting or self._is_writing)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Save what waits, as far as it was heard, then end; whether that was done in time."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def clip_of(self, stream: Stream, monitor: str, detection: Detection, wall_ns: int) -> str | None:
        """The name of the clip that will hold a decision's sound; None if none is kept.

        An onset (or a keyword) asks for a clip; the updates and the end of an anomaly name that of its onset.

        Args:
            wall_ns: time of the decision, nanoseconds since 1970.
        """
        if not (self._settings.keyword if monitor == "keyword" else self._settings.anomaly):
            return None
        what = detection.epoch, detection.onset_sample
        if detection.kind in {"onset", "keyword"}:
            moment, suffix = rfc3339(wall_ns), self._settings.format
            name = clip_name(stream.name, monitor, self._boot, detection.onset_sample, time=moment, suffix=suffix)
            wanted = self._wanted(stream, monitor, name, detection)
            self._latest[stream.name, monitor] = (what, name if self._ask(wanted) else "")
        known, name = self._latest.get((stream.name, monitor), (None, ""))
        return name or None if known == what else None

    def _wanted(self, stream: Stream, monitor: str, name: str, detection: Detection) -> _Wanted:
        before, after = (round(s * SAMPLE_RATE_HZ) for s in (self._settings.pre_roll_s, self._settings.post_roll_s))
        start = max(0, min(detection.onset_sample, detection.sample_start) - before)
        end = max(detection.sample_end, detection.offset_sample or 0) + after
        origin = ClipOrigin(stream.name, monitor, self._boot, detection.epoch, start)
        return _Wanted(stream, name, origin, start, end, anchor=detection.sample_end - 1)

    def _ask(self, wanted: _Wanted) -> bool:
        with self._condition:
            if len(self._waiting) >= MAX_WAITING or self._stopping:
                self.lost += 1
                return False
            self._waiting.append(wanted)
            self._condition.notify_all()
        return True

    def _run(self) -> None:
        self._clean(self._folder.remove_unfinished)
        clean_at_s = time.monotonic()
        while True:
            if time.monotonic() >= clean_at_s:
                self._clean(self._folder.remove_excess)
                clean_at_s = time.monotonic() + _CLEAN_EVERY_S
            wanted = self._next(clean_at_s)
            if wanted is not None:
                self._save(wanted)
                self._is_writing = False
            elif self._stopping:
                return

    def _clean(self, remove: Callable[[], None]) -> None:
        try:
            remove()
        except OSError as error:
            _log.warning("old clips stay: %s", error)

    def _next(self, until_s: float) -> _Wanted | None:
        """The first whose end was heard (or, at the end, the first); None after waiting a while for it."""
        with self._condition:
            if not self._waiting and not self._stopping:
                self._condition.wait_for(lambda: self._waiting or self._stopping, until_s - time.monotonic())
            elif not self._stopping:
                self._condition.wait_for(lambda: self._stopping, _LOOK_EVERY_S)
            now_s = time.monotonic()
            ready = next((w for w in self._waiting if self._stopping or w.is_heard(now_s)), None)
            if ready is not None:
                self._is_writing = True
                self._waiting.remove(ready)
            return ready

    def _save(self, wanted: _Wanted) -> None:
        piece = _piece(wanted)
        if piece is None:
            self.lost += 1
            _log.warning("%s: its sound is not in memory any more", wanted.name)
            return
        try:
            self._folder.write(wanted.name, piece.samples, replace(wanted.origin, sample_start=piece.sample))
        except OSError as error:
            self.lost += 1
            self._report(f"clips are lost: {error.strerror or error}")
        else:
            self.saved += 1
            self._report("")

    def _report(self, failure: str) -> None:
        """A disk that refuses is reported once, and once more when it works again."""
        if bool(failure) != self._is_failing:
            self._announce(StatusChange("edged", "clips", "failing" if failure else "ok", failure))
        self._is_failing = bool(failure)


def _piece(wanted: _Wanted) -> Stretch | None:
    """What of it lies around the anchor without a gap; None if the anchor itself is gone."""
    for stretch in wanted.stream.ring.between(wanted.sample_start, wanted.sample_end):
        if stretch.sample <= wanted.anchor < stretch.sample + len(stretch.samples):
            return stretch
    return None
