"""One device: its capture child, the thread that reads it, and the restarts."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from edged.capture.align import Alignment
from edged.capture.framing import ABSENT, PERMANENT, REALTIME, Frame, FrameKind
from edged.capture.lifecycle import BETWEEN_CHILDREN, FINAL_STATES, CaptureState, Lifecycle
from edged.capture.source import AbsentDeviceError, DeviceBlock, SourceSpec, is_permanent
from edged.capture.spawn import Child, ChildProcess
from edged.config import CaptureSettings
from edged.errors import DeviceError, EdgedError


@dataclass(frozen=True, slots=True)
class CaptureChange:
    """A device came into another state, for the log, the metrics and a status event."""

    state: CaptureState
    reason: str = ""
    retry_in_s: float = 0.0


class DeviceSink(Protocol):
    """Who takes the samples; called in the reader thread only, may block finite sources."""

    def block(self, block: DeviceBlock) -> None:
        """Take one block (the array is a read-only view of the frame; it stays valid)."""
        ...

    def finished(self, end: int, rate_hz: int) -> None:
        """Nothing more will come; ``end`` is the device sample index reached, by delivery or loss. Called once."""
        ...

    def changed(self, change: CaptureChange) -> None:
        """The device came into another state."""
        ...


class _ToldError(DeviceError):
    """The child said itself what went wrong."""


class _PermanentError(_ToldError):
    """And that starting it again cannot help."""


class Supervisor:
    """Runs the capture child of one device until its source ends, fails for good, or :meth:`stop`.

    Args:
        spec: the source.
        sink: takes blocks and changes of state.
        settings: the durations.
        start_child: makes a child; a fake in tests.
        now_s: monotonic seconds.
        wait: called with the seconds of a back-off; returns early, and True, when the device is to stop.
    """

    def __init__(
        self,
        spec: SourceSpec,
        sink: DeviceSink,
        settings: CaptureSettings | None = None,
        *,
        start_child: Callable[[SourceSpec], Child] | None = None,
        now_s: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._spec = spec
        self._sink = sink
        self._settings = settings or CaptureSettings()
        self._start_child = start_child or partial(ChildProcess, end_timeout_s=self._settings.end_timeout_s)
        self._now_s = now_s
        self._life = Lifecycle(self._settings, random.Random())  # noqa: S311 - jitter
        self._alignment = Alignment(spec)
        self._stop = threading.Event()
        self._wait = wait or self._stop.wait
        self._child: Child | None = None
        self._child_lock = threading.Lock()
        self.restarts = 0
        self.is_realtime = False
        self._thread = threading.Thread(target=self._run, name=f"capture-{spec.target}", daemon=True)

    @property
    def state(self) -> CaptureState:
        """Where the device stands."""
        return self._life.state

    @property
    def child_pid(self) -> int | None:
        """Process id of the child, if one runs."""
        child = self._child
        return child.pid if child else None

    @property
    def lost_frames(self) -> int:
        """Device samples declared lost so far: overruns, and what went by while no child ran."""
        return self._alignment.lost

    @property
    def overruns(self) -> int:
        """How often a running child lost samples."""
        return self._alignment.overruns

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self._life.state in FINAL_STATES and not self._thread.is_alive()

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the child to end; what it has sent is still delivered. Returns at once: see :meth:`join`."""
        self._stop.set()
        with self._child_lock:
            if self._child is not None:
                self._child.terminate()

    def join(self, timeout_s: float) -> bool:
        """Wait for the reader; whether it is done."""
        if self._thread.ident is None:  # never started
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set() and self._life.state not in FINAL_STATES:
            self._sink.changed(CaptureChange(CaptureState.STARTING))
            try:
                self._one_child()
            except (EdgedError, OSError) as error:
                self._wait_after(error)
        self._life.stopped()
        self._sink.finished(self._alignment.end, self._alignment.rate_hz)
        self._sink.changed(CaptureChange(self._life.state))

    def _wait_after(self, error: Exception) -> None:
        """Report a failure and wait out the back-off (unless stopping, or the failure is permanent)."""
        if self._stop.is_set():
            return
        is_absent = isinstance(error, AbsentDeviceError)
        if is_absent:
            self._alignment.absent()
        delay_s = self._life.failed(
            self._now_s(),
            permanent=not self._spec.is_live and _is_permanent(error),  # a device may come back as it was
            absent=is_absent,
        )
        self._sink.changed(CaptureChange(self._life.state, str(error), delay_s))
        if self._life.state in BETWEEN_CHILDREN and not self._wait(delay_s):
            self.restarts += 1
            self._life.restart()

    def _one_child(self) -> None:
        """One child's life; returns at the end of the source, raises for every other end."""
        with self._child_lock:
            if self._stop.is_set():
                return
            self._child = self._start_child(self._alignment.new_child(self._now_s()))
        child = self._child
        failure: EdgedError | None = None
        try:
            self._read(child)
        except EdgedError as error:
            failure = error
        finally:
            self._child = None
            last_words = child.end()
        if failure is None:
            return
        if isinstance(failure, _ToldError | AbsentDeviceError) or is_permanent(failure):
            raise failure
        raise DeviceError(f"{failure} ({last_words})")

    def _read(self, child: Child) -> None:
        """Deliver frames until END."""
        timeout_s = _FOR_EVER_S if self._spec.reopens else self._settings.start_timeout_s
        while frame := child.read(timeout_s):
            if frame.kind in _FROM_A_RUNNING_SOURCE:
                self.is_realtime = bool(frame.flags & REALTIME)
            if frame.kind is FrameKind.FORMAT:
                self._life.first_frame(self._now_s())
                self._sink.changed(
                    CaptureChange(CaptureState.RUNNING, f"{frame.rate_hz} Hz, {frame.channels} channels")
                )
                timeout_s = self._settings.stall_timeout_s if self._spec.is_live else _FOR_EVER_S
            elif frame.kind is FrameKind.BLOCK:
                self._sink.block(self._alignment.block(frame, self._now_s()))
            else:
                return self._last_frame(frame)
        raise DeviceError("the capture child is gone")

    def _last_frame(self, frame: Frame) -> None:
        if frame.kind is FrameKind.ERROR:
            raise _told(frame)
        self._alignment.finish(frame)
        self._life.ended()


def _told(frame: Frame) -> DeviceError:
    """What an ERROR frame says."""
    if frame.flags & ABSENT:
        return AbsentDeviceError(frame.text())
    return (_PermanentError if frame.flags & PERMANENT else _ToldError)(frame.text())


def _is_permanent(error: Exception) -> bool:
    return isinstance(error, _PermanentError) or (isinstance(error, EdgedError) and is_permanent(error))


_FROM_A_RUNNING_SOURCE = (FrameKind.FORMAT, FrameKind.BLOCK)
_FOR_EVER_S = 1e9
"""A file or a pipe may be silent as long as it likes, and a FIFO may wait for whoever writes to it."""
