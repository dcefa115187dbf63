"""The life of a daemon that would only crash again: it listens to nothing, and says why to everybody who asks.

Control socket, status, events with heartbeats, metrics and the journal are there; no model is loaded, no microphone
opened. After a while, or by `edged restart`, it is tried again.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import Any

from edged import __version__
from edged.clock import Clock
from edged.config import Config
from edged.control.server import ControlServer
from edged.errors import ConfigError, ControlError, StateError
from edged.events.publisher import Publisher
from edged.observe.metrics import Metrics
from edged.runtime.life import BEGIN_ANEW, DAEMON, Life, Reread
from edged.runtime.messages import StatusChange
from edged.runtime.starts import CrashLoop
from edged.runtime.verbs import Verbs
from edged.runtime.watchdog import Watchdog

_log = logging.getLogger(__name__)

NEEDS_MODELS = ("enroll", "feedback", "references.refit", "references.import")
"""Verbs that load what may be to blame; files are sent for nothing else."""
SAFE_MODE = "safe mode"


class SafeMode(Life):
    """A life that only reports.

    Args:
        loop: why.
        others: as for `Life`.
    """

    def __init__(
        self, config: Config, loop: CrashLoop, clock: Clock | None = None, reread: Reread | None = None
    ) -> None:
        super().__init__(config, clock, reread)
        self._loop = loop
        self._storage = ""
        self._watchdog = Watchdog(None)

    @property
    def summary(self) -> str:
        """That it does nothing."""
        return f"{SAFE_MODE}: nothing is listened to: {self._loop.reason}"

    def start(self) -> None:
        """Everything in order; whatever fails, what was started is stopped again, in reverse.

        Raises:
            EdgedError: it cannot be reached; nothing is left running.
        """
        with ExitStack() as started:
            self.guard = self._open_context(started)
            self._make_threads()
            self._start_publisher(started)
            self.control.start()
            started.callback(self._stop_control)
            if self.config.metrics.enabled:
                self.metrics.serve(self.config.metrics)
                started.callback(self.metrics.stop)
            self.announce(StatusChange(DAEMON, "daemon", SAFE_MODE, str(self._loop)))
            self._running = started.pop_all()

    def _make_threads(self) -> None:
        config = self.config
        self.metrics = Metrics(self.status)
        self.publisher = Publisher(
            self.guard, config.events_endpoint, config.state_path,
            settings=config.events, boot=self.boot, clock=self._clock,
        )  # fmt: skip
        self._verbs = verbs = Verbs(
            config, {},
            use_bank=lambda *_: None, announce=self.announce, status=self.status, stop=self.ask_to_stop,
            restart=self._restart, waiting=self.publisher.waiting,
        )  # fmt: skip
        self.control = ControlServer(
            self.guard, config.control_endpoint, config.control,
            quick=verbs.quick | {"reload": self._leaving, "transfer.put": self._refuse},
            long=verbs.long | dict.fromkeys(NEEDS_MODELS, self._refuse),
        )  # fmt: skip

    def _start_publisher(self, started: ExitStack) -> None:
        """Events, if the state lets us: it may be to blame."""
        try:
            self.publisher.start()
        except ConfigError:
            raise
        except StateError as error:
            _log.error("no events are published: %s", error)
            self._storage = str(error)
        else:
            started.callback(self._stop_publisher)

    def _refuse(self, _args: dict[str, Any]) -> dict[str, Any]:
        raise ControlError(f"the daemon is in {SAFE_MODE}: {self._loop.reason}", fix=self._loop.fix)

    def _leaving(self, _args: dict[str, Any]) -> dict[str, Any]:
        self._restart()
        return {"changed": [SAFE_MODE], "needs_restart": []}

    def _reload(self) -> int | None:
        try:
            self._restart()
        except ConfigError as error:
            _log.error("%s stays: %s", SAFE_MODE, error)
        return None

    def _tick(self, now_s: float) -> int | None:
        self._watchdog.tick(now_s)
        self._verbs.tidy()
        left_s = self._left_of_it_s()
        return BEGIN_ANEW if left_s is not None and left_s <= 0 else None

    def _left_of_it_s(self) -> float | None:
        lasts_s = self.config.service.safe_mode_s
        return None if lasts_s is None else lasts_s - self.uptime_s

    @property
    def after_fault(self) -> int:
        """It ends: there is nothing safer to go on with."""
        return 1

    def status(self) -> dict[str, Any]:
        """What `edged status --json` shows: what there is of the usual, and why there is no more."""
        storage = {"state": "failing", "reason": self._storage} if self._storage else self.publisher.storage()
        return {
            "version": __version__,
            "boot": self.boot,
            "mode": "safe",
            "safe_mode": self._loop.facts() | {"tries_again_in_s": self._left_of_it_s()},
            "uptime_s": self.uptime_s,
            "devices": {},
            "streams": {},
            "backends": {},
            "storage": storage,
            "events": self.publisher.status(),
            "security": self.guard.facts(),
        }
