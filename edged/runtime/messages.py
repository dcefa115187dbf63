"""From what the daemon's parts say to events: names, bundle, bank and wall-clock time are attached here, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edged.clock import StreamClock, rfc3339
from edged.events.schema import AnomalyEvent, BundleRef, Detected, KeywordEvent, ScoreEvent, StatusEvent
from edged.flow import SAMPLE_RATE_HZ, Detection, Scored
from edged.pipeline import Monitor


@dataclass(frozen=True, slots=True)
class StatusChange:
    """Something changed about a stream, or about the daemon (stream ``edged``)."""

    stream: str
    subject: str
    state: str
    reason: str = ""


Announce = Callable[[StatusChange], None]


ClipOf = Callable[[int], str | None]
"""Wall time of a decision in nanoseconds -> path of the clip that will hold its sound, or None."""


def detection_event(
    detection: Detection, monitor: Monitor, clock: StreamClock, boot: str, clip_of: ClipOf = lambda _: None
) -> tuple[Detected, int]:
    """The event of a decision, and the wall time of its last sample in nanoseconds."""
    wall_ns = clock.wall_ns(detection.sample_end)
    offset = detection.offset_sample
    facts = {
        "boot": boot,
        "time": rfc3339(wall_ns),
        "stream": monitor.stream,
        "epoch": detection.epoch,
        "lost_samples": monitor.accounting.lost,
        "sample_start": detection.sample_start,
        "sample_end": detection.sample_end,
        "onset_s": detection.onset_sample / SAMPLE_RATE_HZ,
        "offset_s": None if offset is None else offset / SAMPLE_RATE_HZ,
        "score": detection.score,
        "threshold": detection.threshold,
        "bundle": BundleRef(id=monitor.bundle.manifest.id, digest=monitor.bundle.digest),
        "bank": detection.bank_version,
        "domain": detection.domain,
        "details": dict(detection.details),
        "kind": detection.kind,
        "clip": clip_of(wall_ns),
    }
    if detection.kind == "keyword":
        return KeywordEvent(keyword=detection.keyword, **facts), wall_ns
    return AnomalyEvent(severity=detection.severity, **facts), wall_ns


def score_event(scored: Scored, monitor: Monitor, clock: StreamClock, boot: str) -> ScoreEvent:
    """The telemetry of one scored segment."""
    return ScoreEvent(
        boot=boot,
        time=rfc3339(clock.wall_ns(scored.sample_end)),
        stream=monitor.stream,
        sample_start=scored.sample_start,
        sample_end=scored.sample_end,
        score=scored.anomaly_score,
        threshold=scored.threshold,
        domain=scored.domain,
        bank=monitor.bank_version,
        input=scored.input,
        discount=scored.discount,
    )


def status_event(change: StatusChange, wall_ns: int, boot: str) -> StatusEvent:
    """The event of something that changed."""
    return StatusEvent(
        boot=boot,
        time=rfc3339(wall_ns),
        stream=change.stream,
        subject=change.subject,
        state=change.state,
        reason=change.reason,
    )
