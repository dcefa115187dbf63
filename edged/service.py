"""The daemon: start order, reverse stop, and the main loop. Signals only enqueue; the main loop acts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from edged import __version__
from edged.assembly import Assembly
from edged.capture.lifecycle import CaptureState
from edged.clock import Clock
from edged.config import Config
from edged.control.server import ControlServer
from edged.embed.bundle import Bundle
from edged.errors import ConfigError, EdgedError
from edged.events.publisher import Publisher
from edged.flow import Outcome
from edged.observe.metrics import Metrics
from edged.pipeline import Monitor, run_once
from edged.runtime.backends import Backends
from edged.runtime.clips import ClipSaver
from edged.runtime.damage import DamageWatch
from edged.runtime.keeper import Keeper
from edged.runtime.keyword_limits import KeywordLimitKeeper
from edged.runtime.life import BEGIN_ANEW, DAEMON, Life, Reread
from edged.runtime.messages import StatusChange, detection_event, score_event
from edged.runtime.opening import changes_of, open_state
from edged.runtime.plant import build_plant
from edged.runtime.preflight import needs_restart
from edged.runtime.stream import Stream
from edged.runtime.thresholds import ThresholdKeeper
from edged.runtime.verbs import Verbs
from edged.runtime.watchdog import Watchdog
from edged.runtime.worker import Worker
from edged.salvage import Salvage
from edged.security import SocketGuard

_log = logging.getLogger(__name__)

_TIDY_EVERY_S = 60.0


class Service(Life):
    """A life that listens.

    Args:
        on_stable: called once it has lasted `service.stable_after_s`.
        others: as for `Life`.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock | None = None,
        reread: Reread | None = None,
        on_stable: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config, clock, reread)
        if not config.streams:
            raise ConfigError("no streams are configured: there is nothing to do", fix="add devices and streams")
        self._on_stable, self._is_stable = on_stable, False
        self._tidy_s = 0.0
        self._damage = DamageWatch(config.state_path)
        self._salvaged: Salvage | None = None
        self._assembly = Assembly(config)

    @property
    def summary(self) -> str:
        """Streams, and where their events are."""
        return f"{len(self.streams)} streams, events at {self.config.events_endpoint}"

    # -- one life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Everything in order; whatever fails, what was started is stopped again, in reverse.

        Raises:
            EdgedError: the daemon cannot run like this; nothing is left running.
        """
        with ExitStack() as started:
            self._salvaged = open_state(self.config.state_path, self._clock.wall_ns())
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
            started.callback(self._end, self.clips, 0.7, "clips that were not saved yet are lost")
            self.thresholds.start()
            started.callback(self._end, self.thresholds, 0.8, "the scores heard lately could not be stored in time")
            self.keyword_limits.start()
            started.callback(self._end, self.keyword_limits, 0.9, "what came near to words lately could not be stored")
            self.backends.start()
            started.callback(self._stop_backends)
            self.worker.start()
            started.callback(self._stop_worker)
            started.callback(self._stop_devices)
            for device in self.devices.values():
                device.supervisor.start()

            self.announce(StatusChange(DAEMON, "daemon", "ready", f"edged {__version__}"))
            for change in [*self._at_start, *changes_of(self._salvaged, self.streams)]:
                self.announce(change)
            self._running = started.pop_all()

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

    def _make_threads(self, guard: SocketGuard) -> None:
        config = self.config
        self.metrics = Metrics(self.status)
        self.publisher = Publisher(
            guard, config.events_endpoint, config.state_path,
            settings=config.events, boot=self.boot, samples=self._samples, clock=self._clock,
            on_damage=lambda: self.ask_to_begin_anew("the state database is damaged"),
        )  # fmt: skip
        self.clips = ClipSaver(config.state_path, config.clips, self.boot, self.announce)
        self.worker = Worker(
            list(self.streams.values()), lambda monitor: self.backends.embedder(monitor.bundle), self._publish,
            self._changed, self.metrics.observe,
        )  # fmt: skip
        self._watchdog = Watchdog(self.worker)
        self.backends = Backends(self._assembly, self._bundles(), self.worker.between_segments, self.announce)
        self.keyword_limits = KeywordLimitKeeper(
            config.state_path, self.streams,
            between_segments=self.worker.between_segments, announce=self.announce, clock=self._clock,
            met_damage=self._damage.met,
        )  # fmt: skip
        self.thresholds = ThresholdKeeper(
            config.state_path, self.streams,
            between_segments=self.worker.between_segments, announce=self.announce, clock=self._clock,
            met_damage=self._damage.met,
        )  # fmt: skip
        self._verbs = Verbs(
            config, self.streams,
            use_bank=self.worker.use_bank, announce=self.announce, status=self.status, stop=self.ask_to_stop,
            restart=self._restart, take_settings=self._take_settings, waiting=self.publisher.waiting,
        )  # fmt: skip
        self.control = ControlServer(
            guard, config.control_endpoint, config.control,
            quick=self._damage.watched(self._verbs.quick), long=self._damage.watched(self._verbs.long),
        )  # fmt: skip

    # -- stopping ------------------------------------------------------------------------------------------------------

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

    def _end(self, part: ClipSaver | Keeper[Any], reserve_s: float, otherwise: str) -> None:
        if not part.stop(self._left_s(reserve_s)):
            _log.warning(otherwise)

    # -- serving -------------------------------------------------------------------------------------------------------

    def _tick(self, now_s: float) -> int | None:
        self._watchdog.tick(now_s)
        if not self._is_stable and self.uptime_s >= self.config.service.stable_after_s:
            self._is_stable = True
            self._on_stable()
        if now_s >= self._tidy_s:
            self._tidy_s = now_s + _TIDY_EVERY_S
            self._verbs.tidy()
        if fault := self._damage.found(now_s):
            self.ask_to_begin_anew(fault)
        done = self.config.exit_when_done and self.worker.is_done and self.clips.is_idle
        return self._exit_code() if done else None

    @property
    def after_fault(self) -> int:
        """It begins anew, but for one that has an end: it would begin its files anew too."""
        return 1 if self.config.exit_when_done else BEGIN_ANEW

    def _exit_code(self) -> int:
        failed = [d.name for d in self.devices.values() if d.supervisor.state is CaptureState.FAILED]
        return 1 if failed else 0

    def _reload(self) -> None:
        try:
            changed = self._verbs.reload({})["changed"]
            _log.info("reloaded: %s", ", ".join(changed) or "nothing changed")
        except EdgedError as error:
            _log.error("reload: %s", error)

    # -- what the threads call -----------------------------------------------------------------------------------------

    def _take_settings(self) -> tuple[list[str], list[str]]:
        """What a changed configuration says of thresholds, now; whatever else it changes needs a restart.

        Returns:
            what is in force now, and what is not before a restart.

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
        if waiting := needs_restart(self.config, config):
            _log.warning("reload: in force after a restart only: %s", ", ".join(waiting))
        return changed, waiting

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

    def _storage(self) -> dict[str, Any]:
        failures = {keeper.NAME: keeper.failures for keeper in (self.thresholds, self.keyword_limits)}
        salvaged = {"salvaged": str(self._salvaged)} if self._salvaged else {}
        return self.publisher.storage() | {"history_failures": failures} | salvaged

    def status(self) -> dict[str, Any]:
        """What `edged status --json` shows."""
        return {
            "version": __version__,
            "boot": self.boot,
            "mode": "normal",
            "uptime_s": self.uptime_s,
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
            "storage": self._storage(),
            "events": {
                **self.publisher.status(),
                "clips_saved": self.clips.saved,
                "clips_lost": self.clips.lost,
                "clips_removed": self.clips.removed,
            },
            "security": self.guard.facts(),
        }
