"""Why a clip has the score it has: its strangest segment, band by band and, for the network, place by place."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.features.anomaly import AnomalySpec, clip_segments, repeat_to_length, segment_features
from edged.flow import SAMPLE_RATE_HZ, Float32Array, Float64Array, Segment
from trainer.explain.bands import MelBands, band_contributions, image_frequencies_hz
from trainer.explain.bundle_scorer import FittedBundle, stacked
from trainer.explain.importance import ImportanceMap, importance_map
from trainer.explain.masks import KEEP


@dataclass(frozen=True)
class Explanation:
    """One clip explained; all contributions and importances are in units of the anomaly score.

    Attributes:
        clip_score: mean over the clip's segments, as `edged score --clip` gives it; higher = more anomalous.
        segment_score: of the segment with the highest score, which is what all the rest is about.
        threshold: the daemon's.
        start_s: where the segment begins.
        end_s: where it ends; a clip shorter than a segment was repeated up to there.
        parts: representation name -> what it adds to `segment_score`.
        times_s: (n_frames,) centres of the frames, from the clip's beginning.
        bands: where the mel bands lie.
        levels_db: float32 (n_frames, n_mels), the segment's log-mel spectrogram relative to its level.
        band_contributions: as of `trainer.explain.bands.band_contributions`.
        image_hz: (n_bins,) frequencies of the map; empty without one.
        importance: the network's map, or None where no image is scored.
    """

    clip_score: float
    segment_score: float
    threshold: float
    start_s: float
    end_s: float
    parts: Mapping[str, float]
    times_s: Float64Array
    bands: MelBands
    levels_db: Float32Array
    band_contributions: Mapping[str, Float64Array]
    image_hz: Float64Array
    importance: ImportanceMap | None

    @property
    def was_interrupted(self) -> bool:
        """Ctrl-C came before all masks were done."""
        return self.importance is not None and self.importance.was_interrupted

    @property
    def total_contributions(self) -> Float64Array:
        """Sum of the contributions over the representations: (n_mels,)."""
        return np.asarray(np.sum([np.zeros(len(self.bands.centre_hz)), *self.band_contributions.values()], axis=0))


def explain_clip(
    fitted: FittedBundle,
    samples: Float32Array,
    *,
    n_masks: int,
    keep: float = KEEP,
    seed: int = 0,
    progress: Callable[[int], object] | None = None,
) -> Explanation:
    """Explain the segment with the highest anomaly score.

    Args:
        fitted: the bundle, with normal clips.
        samples: float32 (n_samples,) at 16 kHz; repeated to a segment's length when shorter.
        n_masks: for the network's map; 2,000 tell the regions, more sharpen them.
        keep: probability that a mask keeps a cell.
        seed: of masks and orders.
        progress: called with the number of masks of every batch done.

    Raises:
        KeyboardInterrupt: before the map was begun; later it ends with the masks so far.
    """
    segments = clip_segments(samples, fitted.spec)
    vectors = stacked(fitted.embedder.embed(segments))
    scores = fitted.scorer.scores(vectors)
    strangest = int(scores.argmax())
    segment = segments[strangest]
    start_s = segment.sample_start / SAMPLE_RATE_HZ
    parts = {p.name: fitted.contribution(p, vectors[p.name])[strangest] for p in fitted.scorer.parts}
    name = fitted.image_name
    return Explanation(
        clip_score=float(scores.mean()),
        segment_score=float(scores[strangest]),
        threshold=fitted.threshold,
        start_s=start_s,
        end_s=start_s + fitted.spec.segment_samples / SAMPLE_RATE_HZ,
        parts={part: float(value) for part, value in parts.items()},
        times_s=start_s + _frame_times_s(fitted.spec),
        bands=MelBands.of(fitted.spec),
        levels_db=_levels_db(samples, segment, fitted.spec),
        band_contributions=band_contributions(fitted, segment, seed=seed),
        image_hz=image_frequencies_hz(fitted.spec, name) if name else np.empty(0),
        importance=importance_map(
            fitted.network_scores(segment),
            segment.features[name],
            hidden=fitted.hidden,
            n_masks=n_masks,
            keep=keep,
            seed=seed,
            progress=progress,
        )
        if name
        else None,
    )


def summary(explanation: Explanation) -> dict[str, Any]:
    """What matters most, JSON-serialisable."""
    bands, total = explanation.bands, explanation.total_contributions
    top = int(total.argmax())
    return {
        "score": explanation.clip_score,
        "threshold": explanation.threshold,
        "segment": {
            "start_s": explanation.start_s,
            "end_s": explanation.end_s,
            "score": explanation.segment_score,
            "parts": dict(explanation.parts),
        },
        "band": {
            "hz": float(bands.centre_hz[top]),
            "from_hz": float(bands.low_hz[top]),
            "to_hz": float(bands.high_hz[top]),
            "contribution": float(total[top]),
            "contributions": {name: float(values[top]) for name, values in explanation.band_contributions.items()},
        },
        "map": _map_summary(explanation),
    }


def arrays(explanation: Explanation) -> dict[str, NDArray[Any]]:
    """Everything a picture needs, for storage without pickles."""
    result: dict[str, NDArray[Any]] = {
        "times_s": explanation.times_s,
        "bands_hz": explanation.bands.centre_hz,
        "levels_db": explanation.levels_db,
        "part_names": np.array(list(explanation.parts)),
        "part_scores": np.array(list(explanation.parts.values())),
        "score": np.array(explanation.clip_score),
        "segment_score": np.array(explanation.segment_score),
        "threshold": np.array(explanation.threshold),
    }
    result |= {f"band_contributions/{name}": values for name, values in explanation.band_contributions.items()}
    found = explanation.importance
    if found is None:
        return result
    return result | {
        "map": found.importance.astype(np.float32),
        "map_standard_error": found.standard_error.astype(np.float32),
        "frequencies_hz": explanation.image_hz,
    }


def _map_summary(explanation: Explanation) -> dict[str, Any] | None:
    found = explanation.importance
    if found is None:
        return None
    frame, column = np.unravel_index(found.importance.argmax(), found.importance.shape)
    return {
        "time_s": float(explanation.times_s[frame]),
        "hz": float(explanation.image_hz[column]),
        "importance": float(found.importance[frame, column]),
        "standard_error": float(found.standard_error[frame, column]),
        "masks": found.n_masks,
        "was_interrupted": found.was_interrupted,
        "split_half_correlation": _finite(found.split_half_correlation),
        "reliability": _finite(found.reliability),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _frame_times_s(spec: AnomalySpec) -> Float64Array:
    return (np.arange(spec.n_frames) * spec.frame_hop_samples + spec.n_fft / 2) / SAMPLE_RATE_HZ


def _levels_db(samples: Float32Array, segment: Segment, spec: AnomalySpec) -> Float32Array:
    """The log-mel spectrogram of a segment, whatever its bundle's network takes."""
    own = repeat_to_length(samples[segment.sample_start : segment.sample_end], spec.segment_samples)
    shown = spec.model_copy(update={"inputs": ("log_mel",), "statistics": {}})
    return segment_features(own, shown)["log_mel"]
