"""The Prometheus endpoint: counters are read from the running parts when somebody asks, stage times are observed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from edged.config import MetricsSettings
from edged.errors import ConfigError
from edged.flow import Outcome
from edged.observe.page import ALARMS, SCORE, STAGE_SECONDS, THRESHOLD, families

_STAGE_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class Metrics:
    """Everything that is measured.

    Args:
        status: the daemon's status, as `edged status --json` shows it.
    """

    def __init__(self, status: Callable[[], dict[str, Any]]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(StatusCollector(status))
        self._stages = Histogram(
            STAGE_SECONDS.name, STAGE_SECONDS.text, STAGE_SECONDS.labels, buckets=_STAGE_BUCKETS_S,
            registry=self.registry,
        )  # fmt: skip
        self._alarms = Counter(ALARMS.name, ALARMS.text, ALARMS.labels, registry=self.registry)
        self._score = Gauge(SCORE.name, SCORE.text, SCORE.labels, registry=self.registry)
        self._threshold = Gauge(THRESHOLD.name, THRESHOLD.text, THRESHOLD.labels, registry=self.registry)
        self._server: WSGIServer | None = None

    def observe(self, stage: str, duration_s: float) -> None:
        """A stage took so long."""
        self._stages.labels(stage).observe(duration_s)

    def judged(self, stream: str, monitor: str, outcome: Outcome) -> None:
        """What a monitor made of a segment (the worker's thread)."""
        for scored in outcome.scored[-1:]:
            self._score.labels(stream).set(scored.anomaly_score)
            self._threshold.labels(stream).set(scored.threshold)
        for detection in outcome.detections:
            self._alarms.labels(stream, monitor, detection.kind).inc()

    def serve(self, settings: MetricsSettings) -> None:
        """Answer on HTTP.

        Raises:
            ConfigError: the address cannot be bound.
        """
        try:
            self._server, _ = start_http_server(settings.port, settings.address, self.registry)
        except OSError as error:
            raise ConfigError(f"metrics: {settings.address}:{settings.port}: {error.strerror}") from error

    def stop(self) -> None:
        """Stop answering."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class StatusCollector(Collector):
    """The daemon's status as metrics, made at the moment of asking.

    Args:
        status: as for :class:`Metrics`.
    """

    def __init__(self, status: Callable[[], dict[str, Any]]) -> None:
        self._status = status

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not ask a daemon that is not built yet."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """All metrics."""
        return families(self._status())
