"""One segment explained in full: parts of the score, a map of time and frequency, the reference it is most like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edged.explain.grid import Grid
from edged.explain.importance import Importance, Track, importance
from edged.explain.judge import Judge
from edged.explain.occlusion import Occluder
from edged.explain.onset import strongest
from edged.explain.typical import typical_of
from edged.features.anomaly import AnomalySpec
from edged.flow import SAMPLE_RATE_HZ, Float32Array, Segment

N_TIMES, N_BANDS, N_RUNS = 10, 12, 400


@dataclass(frozen=True)
class Explanation:
    """Why a segment scores as it does; everything in units of the anomaly score.

    Attributes:
        score: of the segment; higher = more anomalous.
        threshold: in force.
        start_s: where the segment begins in its clip.
        parts: representation -> what it adds; they add up to `score`.
        nearest: clip, domain and date of the most similar reference.
        typical: what hidden cells became: ``bank`` or, where the bank holds no levels, ``surroundings``.
        bands_db: float32 (n_frames, n_mels), log-mel spectrogram relative to the segment's level.
        grid: the cells.
        importance: what every cell adds.
    """

    score: float
    threshold: float
    start_s: float
    parts: Mapping[str, float]
    nearest: Mapping[str, Any]
    typical: str
    bands_db: Float32Array
    grid: Grid
    importance: Importance


def explain_segment(
    judge: Judge, spec: AnomalySpec, segment: Segment, threshold: float, *, n_runs: int = N_RUNS, track: Track = iter
) -> Explanation:
    """Explain one segment.

    Args:
        segment: with its samples.
        n_runs: how often the front end and the network run; more sharpen the map.
        track: wraps the runs, to show progress.

    Raises:
        BundleError: the model gives what is no vector.
    """
    embedding = judge.embedding(segment)
    nearest = judge.nearest(embedding)
    typical = typical_of(judge.bank, spec, nearest["domain"])
    samples = segment.samples if segment.samples is not None else np.zeros(1, np.float32)
    occluder = Occluder(spec, samples, typical, Grid(spec, N_TIMES, N_BANDS))
    return Explanation(
        score=judge.bank.scorer.score(embedding.vectors).anomaly_score,
        threshold=threshold,
        start_s=segment.sample_start / SAMPLE_RATE_HZ,
        parts=judge.parts(embedding),
        nearest=nearest,
        typical="bank" if typical.levels_db is not None else "surroundings",
        bands_db=occluder.bands_db,
        grid=occluder.grid,
        importance=importance(
            lambda hidden: judge.score(occluder.hidden(hidden)), N_TIMES, N_BANDS, n_runs=n_runs, track=track
        ),
    )


def strangest(judge: Judge, segments: Iterable[Segment]) -> Segment:
    """The segment with the highest score, the first of several; of them all, only this one is kept.

    Raises:
        ValueError: there are no segments.
    """
    return max(segments, key=judge.score)


def as_facts(found: Explanation) -> dict[str, Any]:
    """What a program may want to know, JSON-serialisable; seconds count from the clip's beginning."""
    adds = found.importance.adds
    edges_hz, edges_s = found.grid.band_edges_hz, found.start_s + found.grid.time_edges_s
    return {
        "score": found.score,
        "threshold": found.threshold,
        "segment": {"start_s": float(edges_s[0]), "end_s": float(edges_s[-1])},
        "parts": dict(found.parts),
        "nearest": dict(found.nearest),
        "bands": strongest(adds.sum(axis=0).tolist(), edges_hz, "hz", digits=0),
        "times": strongest(adds.sum(axis=1).tolist(), edges_s, "s", digits=2),
        "map": {
            "edges_hz": edges_hz.round(1).tolist(),
            "edges_s": edges_s.round(3).tolist(),
            "adds": adds.round(4).tolist(),
            "score_all_typical": found.importance.all_hidden_score,
            "explained_share": round(found.importance.explained_share, 3),
            "runs": found.importance.n_runs,
            "typical": found.typical,
        },
    }
