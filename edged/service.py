"""The daemon: start order, reverse stop, and the main loop. Signals only enqueue; the main loop acts."""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType
from typing import Any, Literal

import zmq

from edged import __version__
from edged.assembly import Assembly
from edged.capture.lifecycle import CaptureState
from edged.clock import Clock, SystemClock
from edged.config import Config
from edged.control.server import ControlServer, Verb
from edged.embed.bundle import Bundle
from edged.errors import ConfigError, DamagedError, EdgedError, StateError
from edged.events.publisher import Publisher
from edged.flow import Outcome
from edged.observe.logs import set_up_logging
from edged.observe.metrics import Metrics
from edged.observe.notify import READY, STOPPING, notify
from edged.pipeline import Monitor, run_once
from edged.references.store import BankStore
from edged.reserve import give_up
from edged.runtime.backends import Backends
from edged.runtime.clips import ClipSaver
from edged.runtime.keyword_limits import KeywordLimitKeeper
from edged.runtime.lock import only_daemon
from edged.runtime.messages import StatusChange, detection_event, score_event, status_event
from edged.runtime.plant import build_plant
from edged.runtime.stream import Stream
from edged.runtime.thresholds import ThresholdKeeper
from edged.runtime.verbs import Verbs
from edged.runtime.watchdog import Watchdog
from edged.runtime.worker import Worker
from edged.salvage import Salvage, salvage_if_damaged
from edged.security import SocketGuard

_log = logging.getLogger(__name__)

STOP_WITHIN_S = 4.5
_TICK_S = 0.2
_POLL_S = 0.05
_DAEMON = "edged"  # the stream name of events about the daemon itself

Command = Literal["stop", "reload", "restart", "crash"]
RESTART = -1
"""Instead of an exit code: begin anew, in the same process."""
MAX_RESTARTS = 3


def run(config: Config, reread: Callable[[], Config] | None = None) -> int:
    """Run the daemon until it is told to stop, or everything is done; the exit code.

    Args:
        reread: reads the configuration again, for `edged reload`.
    """
    set_up_logging()
    for _ in range(1 + MAX_RESTARTS):
        service = Service(config, reread=reread)
        exit_code = service.run()
        if exit_code != RESTART:
            break
        _log.error("beginning anew: the state database is damaged")
    exit_code = 1 if exit_code == RESTART else exit_code
    if service.control.is_busy:  # Python would wait for it at the end; the state is whole at any instant
        _log.warning("an enrolment was not done: it is given up, nothing of it is kept")
        os._exit(exit_code)
    return exit_code


class Service:
    """One life of the daemon.

    Args:
        config: the validated configuration.
        clock: replaced in tests.
        reread: reads the configuration again; None: it cannot change.
    """

    def __init__(self, config: Config, clock: Clock | None = None, reread: Callable[[], Config] | None = None) -> None:
        if not config.streams:
            raise ConfigError("no streams are configured: there is nothing to do", fix="add devices and streams")
        self.config = config
        self._reread = reread
        self.boot = uuid.uuid4().hex[:12]
        self._clock = clock or SystemClock()
        self._started_ns = self._clock.monotonic_ns()
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._running = ExitStack()
        self._stop_by_s: float | None = None
        self._salvaged: Salvage | None = None
        self._assembly = Assembly(config)

    # -- one life ------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Start, serve, stop."""
        with self._signals():
            self.start()
            notify(READY, f"STATUS={len(self.streams)} streams, events at {self.config.events_endpoint}")
            _log.info("ready: %d streams, events at %s", len(self.streams), self.config.events_endpoint)
            exit_code = 1
            try:
                exit_code = self._serve()
            finally:
                if exit_code != RESTART:  # else the service manager would wait for our end
                    notify(STOPPING)
                self.stop()
            return exit_code

    def start(self) -> None:
        """Everything in order; whatever fails, what was started is stopped again, in reverse.

        Raises:
            EdgedError: the daemon cannot run like this; nothing is left running.
        """
        with ExitStack() as started:
            started.enter_context(only_daemon(self.config.state_path))
            self._open_state()
            self._build()
            self._warm_up()
            self.guard = self._open_context(started)
            self._make_threads(self.guard)

            self.publisher.start()
            started.callback(self._stop_publisher)
            self.control.start()
            started.callback(self._stop_control)
            if self.config.metrics.enabled:
                self.metrics.serve(self.config.metrics)
                started.callback(self.metrics.stop)
            self.clips.start()
            started.callback(self._stop_clips)
            self.thresholds.start()
            started.callback(self._stop_thresholds)
            self.keyword_limits.start()
            started.callback(self._stop_keyword_limits)
            self.backends.start()
            started.callback(self._stop_backends)
            self.worker.start()
            started.callback(self._stop_worker)
            started.callback(self._stop_devices)
            for device in self.devices.values():
                device.supervisor.start()

            self.announce(StatusChange(_DAEMON, "daemon", "ready", f"edged {__version__}"))
            for change in [*self._at_start, *self._of_salvage()]:
                self.announce(change)
            self._running = started.pop_all()

    def _open_state(self) -> None:
        """The state database as it is to be used: whole, and openable on a full disk.

        Raises:
            StateError: it cannot be opened, or there is no room to salvage it.
        """
        state_dir = self.config.state_path
        try:
            self._salvaged = salvage_if_damaged(state_dir, self._clock.wall_ns())
            BankStore(state_dir).close()
        except StateError as error:
            if not give_up(state_dir):
                raise
            _log.warning("%s: the reserve is used", error)
            self._salvaged = salvage_if_damaged(state_dir, self._clock.wall_ns())
            BankStore(state_dir).close()

    def _of_salvage(self) -> list[StatusChange]:
        """What there is to tell of a state database that was damaged."""
        salvaged = self._salvaged
        if salvaged is None:
            return []
        lost = [(name, "all") for name in self.streams] if salvaged.is_total else salvaged.lost_banks
        banks = [StatusChange(name, "bank", "lost", f"{monitor} references: enrol again") for name, monitor in lost]
        return [StatusChange(_DAEMON, "state", "salvaged", str(salvaged)), *banks]

    def stop(self) -> None:
        """Everything in reverse: no more sound, score what came, publish it, end. Within 5 s."""
        self._running.close()
        _log.info("stopped")

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

    def ask_to_stop(self) -> None:
        """From any thread or signal handler."""
        self._commands.put("stop")

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._changed = threading.Condition()
        plant = build_plant(self.config, self._assembly, self._clock, self._changed, self.announce)
        self.streams, self.devices, self._at_start = plant.streams, plant.devices, plant.changes

    def _warm_up(self) -> None:
        """Run every model once: what cannot run is known before READY."""
        for bundle in self._bundles():
            run_once(bundle, self._assembly.embedder(bundle))

    def _bundles(self) -> list[Bundle]:
        """Those in use."""
        found = {m.bundle.digest: m.bundle for stream in self.streams.values() for m in stream.monitors}
        return list(found.values())

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

    def _make_threads(self, guard: SocketGuard) -> None:
        config = self.config
        self.metrics = Metrics(self.status)
        self.publisher = Publisher(
            guard, config.events_endpoint, config.state_path,
            settings=config.events, boot=self.boot, samples=self._samples, clock=self._clock,
            on_damage=lambda: self._commands.put("restart"),
        )  # fmt: skip
        self.clips = ClipSaver(config.state_path, config.clips, self.boot, self.announce)
        self.worker = Worker(
            list(self.streams.values()), lambda monitor: self.backends.embedder(monitor.bundle), self._publish,
            self._changed, self.metrics.observe,
        )  # fmt: skip
        self.backends = Backends(self._assembly, self._bundles(), self.worker.between_segments, self.announce)
        self.keyword_limits = KeywordLimitKeeper(
            config.state_path, self.streams,
            between_segments=self.worker.between_segments, announce=self.announce, clock=self._clock,
        )  # fmt: skip
        self.thresholds = ThresholdKeeper(
            config.state_path, self.streams,
            between_segments=self.worker.between_segments, announce=self.announce, clock=self._clock,
        )  # fmt: skip
        self._verbs = Verbs(
            config, self.streams,
            use_bank=self.worker.use_bank, announce=self.announce, status=self.status, stop=self.ask_to_stop,
            take_settings=self._take_settings, waiting=self.publisher.waiting,
        )  # fmt: skip
        self.control = ControlServer(
            guard, config.control_endpoint, config.control,
            quick=self._watched(self._verbs.quick), long=self._watched(self._verbs.long),
        )  # fmt: skip

    def _watched(self, verbs: Mapping[str, Verb]) -> dict[str, Verb]:
        """Verbs that make the daemon begin anew where they find the state database damaged."""

        def watched(verb: Verb) -> Verb:
            def answer(args: dict[str, Any]) -> dict[str, Any]:
                try:
                    return verb(args)
                except DamagedError:
                    self._commands.put("restart")
                    raise

            return answer

        return {name: watched(verb) for name, verb in verbs.items()}

    # -- stopping ------------------------------------------------------------------------------------------------------

    def _left_s(self, reserve_s: float) -> float:
        """What is left of the time to stop, which runs from the first time anybody asks."""
        if self._stop_by_s is None:
            self._stop_by_s = time.monotonic() + STOP_WITHIN_S
        return max(0.1, self._stop_by_s - time.monotonic() - reserve_s)

    def _stop_devices(self) -> None:
        for device in self.devices.values():
            device.supervisor.stop()
        for device in self.devices.values():
            if not device.supervisor.join(self._left_s(3.0)):
                _log.warning("device %s: its reader does not end", device.name)
            device.abandon()

    def _stop_worker(self) -> None:
        if not self.worker.join(self._left_s(1.5)):
            _log.warning("the worker does not keep up: what waits is declared lost")
            self.worker.abandon()
            self.worker.join(self._left_s(1.0))

    def _stop_backends(self) -> None:
        if self.worker.is_alive or not self.backends.stop(self._left_s(0.8)):
            _log.warning("the GPU's memory is left to the end of the process")

    def _stop_clips(self) -> None:
        if not self.clips.stop(self._left_s(0.7)):
            _log.warning("clips that were not saved yet are lost")

    def _stop_keyword_limits(self) -> None:
        if not self.keyword_limits.stop(self._left_s(0.9)):
            _log.warning("what came near to words lately could not be stored in time")

    def _stop_thresholds(self) -> None:
        if not self.thresholds.stop(self._left_s(0.8)):
            _log.warning("the scores heard lately could not be stored in time")

    def _stop_control(self) -> None:
        self.control.stop(self._left_s(0.5))

    def _stop_publisher(self) -> None:
        self.announce(StatusChange(_DAEMON, "daemon", "stopped"))
        if not self.publisher.stop(self._left_s(0.0)):
            _log.error("the publisher does not end")

    # -- serving -------------------------------------------------------------------------------------------------------

    def _serve(self) -> int:
        """Act on commands until one of them ends the daemon; the exit code."""
        watchdog = Watchdog(self.worker)
        while True:
            try:
                command = self._next_command()
            except queue.Empty:
                watchdog.tick(time.monotonic())
                if self.config.exit_when_done and self.worker.is_done and self.clips.is_idle:
                    return self._exit_code()
                continue
            if command == "reload":
                self._reload()
            else:
                return {"crash": 1, "restart": RESTART}.get(command, 0)

    def _exit_code(self) -> int:
        failed = [d.name for d in self.devices.values() if d.supervisor.state is CaptureState.FAILED]
        return 1 if failed else 0

    def _reload(self) -> None:
        try:
            changed = self._verbs.reload({})["changed"]
            _log.info("reloaded: %s", ", ".join(changed) or "nothing changed")
        except EdgedError as error:
            _log.error("reload: %s", error)

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
        self._commands.put("crash")

    # -- what the threads call -----------------------------------------------------------------------------------------

    def announce(self, change: StatusChange) -> None:
        """Publish a status event; from any thread."""
        wall_ns = self._clock.wall_ns()
        try:
            self.publisher.alarm(status_event(change, wall_ns, self.boot), wall_ns)
        except StateError:  # the publisher has ended before its callers: only while stopping
            _log.info("after the end: %s", change)

    def _take_settings(self) -> list[str]:
        """What a changed configuration says of thresholds, now; whatever else it changes needs a restart.

        Raises:
            ConfigError: it cannot be read; nothing is changed.
        """
        config = self._reread() if self._reread else self.config
        changed = self.guard.reload()
        for name, settings in config.streams.items():
            anomaly = settings.monitors.anomaly
            if anomaly and self.thresholds.use_settings(name, anomaly):
                changed.append(f"{name}/threshold")
            words = settings.monitors.keyword
            if words and self.keyword_limits.use_settings(name, words):
                changed.append(f"{name}/keyword thresholds")
        return changed

    def _publish(self, stream: Stream, monitor: Monitor, outcome: Outcome) -> None:
        self.thresholds.heard(stream, monitor, outcome)
        self.keyword_limits.heard(stream, monitor)
        self.metrics.judged(stream.name, monitor.name, outcome)
        for scored in outcome.scored:
            event = score_event(scored, monitor, stream.clock, self.boot)
            stream.scores.append(event)
            if self.config.events.scores:
                self.publisher.telemetry(event)
        for detection in outcome.detections:
            clip_of = partial(self.clips.clip_of, stream, monitor.name, detection)
            self.publisher.alarm(*detection_event(detection, monitor, stream.clock, self.boot, clip_of))

    def _samples(self) -> dict[str, dict[str, dict[str, int]]]:
        return {name: stream.books for name, stream in self.streams.items()}

    def status(self) -> dict[str, Any]:
        """What `edged status --json` shows."""
        return {
            "version": __version__,
            "boot": self.boot,
            "uptime_s": (self._clock.monotonic_ns() - self._started_ns) / 1e9,
            "devices": {name: device.status() for name, device in self.devices.items()},
            "streams": {
                name: {
                    **stream.status(),
                    "threshold": self.thresholds.status(name),
                    "keywords": self.keyword_limits.status(name),
                }
                for name, stream in self.streams.items()
            },
            "backends": self.backends.status(),
            "storage": self.publisher.storage() | ({"salvaged": str(self._salvaged)} if self._salvaged else {}),
            "events": {
                **self.publisher.status(),
                "clips_saved": self.clips.saved,
                "clips_lost": self.clips.lost,
                "clips_removed": self.clips.removed,
            },
            "security": self.guard.facts(),
        }
