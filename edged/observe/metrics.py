"""The Prometheus endpoint: counters are read from the running parts when somebody asks, stage times are observed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from edged.capture.lifecycle import CaptureState
from edged.config import MetricsSettings
from edged.errors import ConfigError

_STAGE_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
_SAMPLE_COUNTERS = ("received", "scored", "dropped", "missing")


class Metrics:
    """Everything that is measured.

    Args:
        status: the daemon's status, as `edged status --json` shows it.
    """

    def __init__(self, status: Callable[[], dict[str, Any]]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(StatusCollector(status))
        self._stages = Histogram(
            "edged_stage_seconds", "Time spent in a stage", ["stage"], buckets=_STAGE_BUCKETS_S, registry=self.registry
        )
        self._server: WSGIServer | None = None

    def observe(self, stage: str, duration_s: float) -> None:
        """A stage took so long."""
        self._stages.labels(stage).observe(duration_s)

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

    def collect(self) -> Iterable[Metric]:
        """All metrics."""
        status = self._status()
        yield from self._streams(status["streams"])
        yield from self._devices(status["devices"])
        yield from self._security(status["security"])
        for name, value in status["events"].items():
            yield GaugeMetricFamily(f"edged_events_{name}", f"Events: {name}", value=value)

    def _streams(self, streams: dict[str, Any]) -> Iterable[Metric]:
        samples = CounterMetricFamily(
            "edged_samples", "Samples by what became of them", labels=["stream", "monitor", "fate"]
        )
        queued = GaugeMetricFamily("edged_queued_samples", "Samples that wait for the worker", labels=["stream"])
        level = GaugeMetricFamily("edged_input_level_dbfs", "Level of the latest second", labels=["stream"])
        healthy = GaugeMetricFamily("edged_input_ok", "1 while the input is healthy", labels=["stream"])
        bank = GaugeMetricFamily("edged_bank_version", "Version of the references", labels=["stream", "monitor"])
        for name, stream in streams.items():
            for monitor, books in stream["samples"].items():
                for fate in _SAMPLE_COUNTERS:
                    samples.add_metric([name, monitor, fate], books[fate])
                bank.add_metric([name, monitor], stream["banks"][monitor])
            queued.add_metric([name], stream["queued"])
            level.add_metric([name], stream["level_dbfs"])
            healthy.add_metric([name], float(stream["input"] == "ok"))
        return samples, queued, level, healthy, bank

    def _security(self, security: dict[str, Any]) -> Iterable[Metric]:
        refused = CounterMetricFamily("edged_refused", "Connections and requests refused, by why", labels=["what"])
        for what, count in security["refused"].items():
            refused.add_metric([what], count)
        connections = GaugeMetricFamily("edged_connections", "Open connections", value=security["open"])
        return refused, connections

    def _devices(self, devices: dict[str, Any]) -> Iterable[Metric]:
        running = GaugeMetricFamily("edged_device_running", "1 while the device delivers", labels=["device"])
        restarts = CounterMetricFamily("edged_device_restarts", "Restarts of the capture child", labels=["device"])
        lost = CounterMetricFamily("edged_device_lost_frames", "Device samples declared lost", labels=["device"])
        overruns = CounterMetricFamily(
            "edged_device_overruns", "How often a running capture child lost samples", labels=["device"]
        )
        state = GaugeMetricFamily(
            "edged_device_state", "1 for the state the device is in, 0 for others", labels=["device", "state"]
        )
        for name, device in devices.items():
            lost.add_metric([name], device["lost_frames"])
            overruns.add_metric([name], device["overruns"])
            for known in CaptureState:
                state.add_metric([name, known.value], float(device["state"] == known.value))
            running.add_metric([name], float(device["state"] == "running"))
            restarts.add_metric([name], device["restarts"])
        return running, restarts, lost, overruns, state
