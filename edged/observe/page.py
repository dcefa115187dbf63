"""What the Prometheus page tells, declared once: the page and the table in `edged/README.md` are made from this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from edged.capture.lifecycle import CaptureState

Sample = tuple[tuple[str, ...], float]
_FATES = ("received", "scored", "dropped", "missing", "lost", "pending")


@dataclass(frozen=True, slots=True)
class Described:
    """One metric; counters end in ``_total`` on the page.

    Attributes:
        labels: what its values are told apart by.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    text: str

    @property
    def page_name(self) -> str:
        """As it stands on the page.

        >>> Described("edged_x", "counter", (), "").page_name
        'edged_x_total'
        """
        return f"{self.name}_total" if self.kind == "counter" else self.name


STAGE_SECONDS = Described("edged_stage_seconds", "histogram", ("stage",), "time spent in a stage of the worker")
ALARMS = Described(
    "edged_alarms", "counter", ("stream", "monitor", "kind"), "decisions: onset, update, cleared, drift, keyword"
)
SCORE = Described("edged_anomaly_score", "gauge", ("stream",), "the latest segment's, higher = more anomalous")
THRESHOLD = Described("edged_anomaly_threshold", "gauge", ("stream",), "what that score was held against")
OBSERVED = (STAGE_SECONDS, ALARMS, SCORE, THRESHOLD)
"""Counted as things happen; the others are read from the status when somebody asks."""

_S, _SM, _D = ("stream",), ("stream", "monitor"), ("device",)
FROM_STATUS = {
    metric.name: metric
    for metric in (
        Described("edged_uptime_seconds", "gauge", (), "since the daemon started"),
        Described("edged_safe_mode", "gauge", (), "1 while the daemon listens to nothing after a crash loop"),
        Described("edged_samples", "counter", (*_SM, "fate"), "by fate: received = scored + dropped + pending; "
                  "lost = missing + dropped"),
        Described("edged_heard_samples", "counter", _S, "came from the device, or were declared lost there"),
        Described("edged_overflowed_samples", "counter", _S, "found the worker's queue full; they count as dropped"),
        Described("edged_queued_samples", "gauge", _S, "wait for the worker"),
        Described("edged_input_level_dbfs", "gauge", _S, "level of the latest second"),
        Described("edged_input_ok", "gauge", _S, "1 while the input is sound, 0 while it is flat, clipped, deaf, torn"),
        Described("edged_bank_version", "gauge", _SM, "version of the references in use; 0 = nothing is enrolled"),
        Described("edged_device_state", "gauge", (*_D, "state"), "1 for the state it is in"),
        Described("edged_device_restarts", "counter", _D, "of the capture child"),
        Described("edged_device_overruns", "counter", _D, "how often a running capture child lost samples"),
        Described("edged_device_lost_frames", "counter", _D, "declared lost by the device or its child"),
        Described("edged_backend_info", "gauge", ("network", "runs_on"), "1 for what runs a network"),
        Described("edged_storage_ok", "gauge", (), "0 while the disk refuses: telemetry is off, alarms are in memory"),
        Described("edged_last_seq", "gauge", (), "number of the newest event"),
        Described("edged_published", "counter", (), "events and scores published"),
        Described("edged_queued_events", "gauge", (), "wait to be published"),
        Described("edged_dropped_telemetry", "counter", (), "scores that found the queue or the disk full"),
        Described("edged_history_failures", "counter", ("history",), "times that the disk refused what was heard for "
                  "thresholds"),
        Described("edged_unjournalled", "gauge", (), "published events that wait for the journal"),
        Described("edged_lost_from_journal", "counter", (), "events that never came into the journal"),
        Described("edged_removed_from_journal", "counter", (), "events removed for age or room"),
        Described("edged_clips_saved", "counter", (), "clips of events"),
        Described("edged_clips_lost", "counter", (), "clips of events that could not be saved"),
        Described("edged_refused", "counter", ("what",), "connections and requests refused, by why"),
        Described("edged_connections", "gauge", (), "open connections of other programs"),
    )
}  # fmt: skip


def families(status: Mapping[str, Any]) -> Iterator[Metric]:
    """The daemon's status as metrics, every declared one."""
    values = samples(status)
    for name, metric in FROM_STATUS.items():
        kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        family = kind(name, _sentence(metric.text), labels=metric.labels)
        for labels, value in values.get(name, ()):
            family.add_metric(labels, value)
        yield family


def samples(status: Mapping[str, Any]) -> dict[str, list[Sample]]:
    """Metric name -> its values."""
    security, events = status["security"], status["events"]
    found: dict[str, list[Sample]] = {
        "edged_uptime_seconds": [((), status["uptime_s"])],
        "edged_storage_ok": [((), float(status["storage"].get("state", "ok") == "ok"))],
        "edged_safe_mode": [((), float(status.get("mode") == "safe"))],
        "edged_history_failures": [
            ((name,), count) for name, count in status["storage"].get("history_failures", {}).items()
        ],
        "edged_connections": [((), security["open"])],
        "edged_refused": [((what,), count) for what, count in security["refused"].items()],
        "edged_backend_info": [((name, one["runs_on"]), 1.0) for name, one in status["backends"].items()],
        "edged_last_seq": [((), events["last_seq"])],
        "edged_published": [((), events["published"])],
        "edged_queued_events": [((), events["queued"])],
    }
    for key in ("dropped_telemetry", "unjournalled", "lost_from_journal", "removed_from_journal", "clips_saved",
                "clips_lost"):  # fmt: skip
        found[f"edged_{key}"] = [((), events.get(key, 0))]
    for name, stream in status["streams"].items():
        _add_stream(found, name, stream)
    for name, device in status["devices"].items():
        states = [((name, state.value), float(device["state"] == state.value)) for state in CaptureState]
        found.setdefault("edged_device_state", []).extend(states)
        found.setdefault("edged_device_restarts", []).append(((name,), device["restarts"]))
        found.setdefault("edged_device_overruns", []).append(((name,), device["overruns"]))
        found.setdefault("edged_device_lost_frames", []).append(((name,), device["lost_frames"]))
    return found


def _add_stream(found: dict[str, list[Sample]], name: str, stream: Mapping[str, Any]) -> None:
    for monitor, books in stream["samples"].items():
        fates: list[Sample] = [((name, monitor, fate), books[fate]) for fate in _FATES]
        found.setdefault("edged_samples", []).extend(fates)
        found.setdefault("edged_bank_version", []).append(((name, monitor), stream["banks"][monitor]))
    values = {
        "edged_heard_samples": stream["heard"],
        "edged_overflowed_samples": stream["overflowed"],
        "edged_queued_samples": stream["queued"],
        "edged_input_level_dbfs": stream["level_dbfs"],
        "edged_input_ok": float(stream["input"] == "ok"),
    }
    for key, value in values.items():
        found.setdefault(key, []).append(((name,), value))


def table() -> str:
    """All metrics, in Markdown."""
    rows = [
        f"| `{metric.page_name}` | {metric.kind} | {', '.join(metric.labels)} | {metric.text} |"
        for metric in (*FROM_STATUS.values(), *OBSERVED)
    ]
    return "\n".join(["| metric | kind | by | what |", "|---|---|---|---|", *rows])


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
