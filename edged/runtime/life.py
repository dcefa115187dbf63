"""One life of the daemon, whatever it does: signals and commands, the main loop, and the stop within its time.

Signals and dying threads only enqueue; the main loop acts.
"""

from __future__ import annotations

import logging
import queue
import signal
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any, Literal

import zmq

from edged.clock import Clock, SystemClock
from edged.config import Config
from edged.control.server import ControlServer
from edged.errors import StateError
from edged.events.publisher import Publisher
from edged.observe.notify import READY, STOPPING, notify, watchdog_limit
from edged.runtime.messages import StatusChange, status_event
from edged.runtime.preflight import refuse_unusable
from edged.security import SocketGuard

_log = logging.getLogger(__name__)

STOP_WITHIN_S = 4.5
BEGIN_ANEW = -1
"""Instead of an exit code: what follows is another life, in the same process as far as the service manager sees."""
DAEMON = "edged"
"""The stream name of events about the daemon itself."""
_TICK_S = 0.2
_POLL_S = 0.05

Command = Literal["stop", "reload", "begin anew", "crash"]
Reread = Callable[[], Config]


class Life(ABC):
    """What every life has.

    Args:
        config: the validated configuration.
        clock: replaced in tests.
        reread: reads the configuration again; None: it cannot change.

    Attributes:
        fault: what ended it, if something did that should not have.
    """

    publisher: Publisher
    control: ControlServer

    def __init__(self, config: Config, clock: Clock | None = None, reread: Reread | None = None) -> None:
        self.config = config
        self._reread = reread
        self.boot = uuid.uuid4().hex[:12]
        self.fault = ""
        self._clock = clock or SystemClock()
        self._started_ns = self._clock.monotonic_ns()
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._running = ExitStack()
        self._stop_by_s: float | None = None

    @property
    def uptime_s(self) -> float:
        """Since it began."""
        return (self._clock.monotonic_ns() - self._started_ns) / 1e9

    def run(self) -> int:
        """Start, serve, stop; the exit code, or `BEGIN_ANEW`."""
        with self._signals():
            self.start()
            notify(READY, *watchdog_limit(), f"STATUS={self.summary}")
            _log.info("ready: %s", self.summary)
            exit_code = 1
            try:
                exit_code = self._serve()
            finally:
                if exit_code != BEGIN_ANEW:  # else the service manager would wait for our end
                    notify(STOPPING)
                self.stop()
        return self._unless_told_to_stop(exit_code)

    @property
    @abstractmethod
    def summary(self) -> str:
        """What it does, in a few words."""

    @abstractmethod
    def start(self) -> None:
        """Everything in order; whatever fails, what was started is stopped again, in reverse.

        Raises:
            EdgedError: it cannot run like this; nothing is left running.
        """

    def stop(self) -> None:
        """Everything in reverse: no more sound, score what came, publish it, end. Within 5 s."""
        self._running.close()
        _log.info("stopped")

    def ask_to_stop(self) -> None:
        """From any thread or signal handler."""
        self._commands.put("stop")

    def ask_to_begin_anew(self, fault: str = "") -> None:
        """From any thread.

        Args:
            fault: what is wrong with this life; empty = somebody wishes it.
        """
        self.fault = self.fault or fault
        self._commands.put("begin anew")

    def _restart(self) -> None:
        """Begin anew, by the configuration as it is now.

        Raises:
            ConfigError: that cannot be used; this life goes on.
        """
        if self._reread:
            refuse_unusable(self._reread())
        self.ask_to_begin_anew()

    # -- the main loop -------------------------------------------------------------------------------------------------

    @abstractmethod
    def _reload(self) -> int | None:
        """Act on SIGHUP; the exit code, if that ends this life."""

    @abstractmethod
    def _tick(self, now_s: float) -> int | None:
        """Several times a second; the exit code, if this life is over.

        Args:
            now_s: monotonic.
        """

    def _serve(self) -> int:
        """Act on commands until one of them ends this life; the exit code."""
        while True:
            try:
                command = self._next_command()
            except queue.Empty:
                ended = self._tick(time.monotonic())
            else:
                ended = self._obeyed(command)
            if ended is not None:
                return ended

    def _unless_told_to_stop(self, exit_code: int) -> int:
        """No other life where somebody asked for the end while this one ended."""
        unread = [self._commands.get_nowait() for _ in range(self._commands.qsize())]
        return 0 if exit_code == BEGIN_ANEW and "stop" in unread else exit_code

    def _obeyed(self, command: Command) -> int | None:
        if command == "reload":
            return self._reload()
        if command == "stop":
            return 0
        if command == "crash" or self.fault:
            _log.error("this life ends: %s", self.fault)
            return self.after_fault
        return BEGIN_ANEW

    @property
    def after_fault(self) -> int:
        """What follows the death of a thread, or damage: the exit code."""
        return BEGIN_ANEW

    def _next_command(self) -> Command:
        """The next within a tick.

        Looked for again and again: a timed `SimpleQueue.get` of Python 3.11 that is woken as its time is up waits for
        ever, and the other queues may not be used in signal handlers.

        Raises:
            queue.Empty: there is none.
        """
        end_s = time.monotonic() + _TICK_S
        while True:
            try:
                return self._commands.get_nowait()
            except queue.Empty:
                if time.monotonic() >= end_s:
                    raise
            time.sleep(_POLL_S)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals and dying threads become commands while this lasts."""

        def enqueue(command: Command) -> Callable[[int, FrameType | None], None]:
            return lambda _number, _frame: self._commands.put(command)

        wanted: dict[int, Command] = {signal.SIGTERM: "stop", signal.SIGINT: "stop", signal.SIGHUP: "reload"}
        before = {number: signal.signal(number, enqueue(command)) for number, command in wanted.items()}
        hook_before, threading.excepthook = threading.excepthook, self._thread_died
        try:
            yield
        finally:
            threading.excepthook = hook_before
            for number, handler in before.items():
                signal.signal(number, handler)

    def _thread_died(self, args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread else "unknown"
        error = args.exc_value or args.exc_type()
        _log.critical("thread %s died", name, exc_info=(args.exc_type, error, args.exc_traceback))
        self.fault = self.fault or f"thread {name} died: {type(error).__name__}: {error}"
        self._commands.put("crash")

    # -- what every life is seen by ------------------------------------------------------------------------------------

    def announce(self, change: StatusChange) -> None:
        """Publish a status event; from any thread."""
        wall_ns = self._clock.wall_ns()
        try:
            self.publisher.alarm(status_event(change, wall_ns, self.boot), wall_ns)
        except StateError:  # the publisher has ended before its callers: only while stopping
            _log.info("after the end: %s", change)

    def _open_context(self, started: ExitStack) -> SocketGuard:
        """The ZeroMQ context and who may connect to its sockets."""
        try:
            self.config.runtime_path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            fix = "check owner and permissions, or set runtime_dir"
            raise StateError(f"{self.config.runtime_path}: {error.strerror}", fix=fix) from error
        context: zmq.Context[Any] = zmq.Context()
        started.callback(context.destroy, linger=0)
        guard = SocketGuard(context, self.config.security)
        guard.start()
        started.callback(guard.stop)
        return guard

    # -- stopping ------------------------------------------------------------------------------------------------------

    def _left_s(self, reserve_s: float) -> float:
        """What is left of the time to stop, which runs from the first time anybody asks."""
        if self._stop_by_s is None:
            self._stop_by_s = time.monotonic() + STOP_WITHIN_S
        return max(0.1, self._stop_by_s - time.monotonic() - reserve_s)

    def _stop_control(self) -> None:
        self.control.stop(self._left_s(0.5))

    def _stop_publisher(self) -> None:
        self.announce(StatusChange(DAEMON, "daemon", "stopped", self.fault))
        if not self.publisher.stop(self._left_s(0.0)):
            _log.error("the publisher does not end")
