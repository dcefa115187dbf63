"""A monitor's judgement of a segment; at an onset with the reasons, in few runs: which reference, bands and times.

The daemon's worker and `edged score` go through here, so an event says the same wherever it is made. What it costs is
bounded by the number of cells, and paid once per onset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from edged.embed.protocol import Embedder
from edged.errors import BundleError
from edged.explain.grid import Grid
from edged.explain.importance import single_effects
from edged.explain.judge import Judge
from edged.explain.occlusion import Occluder
from edged.explain.typical import typical_of
from edged.flow import SAMPLE_RATE_HZ, Embedding, Float64Array, Outcome, Segment
from edged.pipeline import AnomalyMonitor, Monitor

N_TIMES, N_BANDS = 3, 6
_SHOWN = 3


def judged(monitor: Monitor, segment: Segment, embedding: Embedding, embedder: Embedder) -> Outcome:
    """What a monitor makes of a segment; onsets carry ``nearest``, ``bands`` and ``times`` in their details."""
    outcome = monitor.accept(embedding)
    if not any(found.kind == "onset" for found in outcome.detections) or not isinstance(monitor, AnomalyMonitor):
        return outcome
    if monitor.bank is None:
        return outcome
    reasons = onset_reasons(monitor, Judge(monitor.bank, embedder), segment, embedding)
    detections = (
        replace(found, details={**found.details, **reasons}) if found.kind == "onset" else found
        for found in outcome.detections
    )
    return replace(outcome, detections=tuple(detections))


def onset_reasons(monitor: AnomalyMonitor, judge: Judge, segment: Segment, embedding: Embedding) -> dict[str, Any]:
    """The most similar reference, and the bands (Hz) and times (s on the stream's clock) that add most to the score."""
    nearest = judge.nearest(embedding)
    if segment.samples is None:
        return {"nearest": nearest}
    typical = typical_of(judge.bank, monitor.spec, nearest["domain"])
    occluder = Occluder(monitor.spec, segment.samples, typical, Grid(monitor.spec, N_TIMES, N_BANDS))
    score = judge.bank.scorer.score(embedding.vectors).anomaly_score
    try:
        times, bands = single_effects(lambda hidden: judge.score(occluder.hidden(hidden)), N_TIMES, N_BANDS, score)
    except BundleError:  # a network may fail on what it never saw; the alarm stands all the same
        return {"nearest": nearest}
    start_s = segment.sample_start / SAMPLE_RATE_HZ
    return {
        "nearest": nearest,
        "bands": strongest(bands, occluder.grid.band_edges_hz, "hz", digits=0),
        "times": strongest(times, start_s + occluder.grid.time_edges_s, "s", digits=2),
    }


def strongest(adds: Sequence[float], edges: Float64Array, unit: str, *, digits: int) -> list[dict[str, float]]:
    """The few that raise the score most, strongest first.

    >>> import numpy as np
    >>> strongest([0.5, -1.0], np.array([0.0, 10.0, 20.0]), "hz", digits=0)
    [{'from_hz': 0.0, 'to_hz': 10.0, 'adds': 0.5}]
    """
    order = sorted((n for n, value in enumerate(adds) if value > 0.0), key=lambda n: -adds[n])
    return [
        {
            f"from_{unit}": round(float(edges[n]), digits),
            f"to_{unit}": round(float(edges[n + 1]), digits),
            "adds": round(float(adds[n]), 3),
        }
        for n in order[:_SHOWN]
    ]
