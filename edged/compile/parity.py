"""The gate an engine has to pass: on the reference clips it must give what ONNX Runtime gives on the CPU.

    embeddings    cosine of every row, and the largest difference relative to the largest value
    scores        of a bank made of the reference clips, and of every enrolled bank that uses the network
    decisions     segments on the same side of the threshold, the same words found; stored normal scores whose side
                  the largest difference of scores could not change

An engine that was read without an error can still be wrong, so the daemon looks at a few embeddings again when it loads
one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edged.compile.engines import Precision
from edged.embed.bundle import Bundle
from edged.embed.protocol import Embedder
from edged.errors import AcceleratorError
from edged.flow import SAMPLE_RATE_HZ, Detection, Embedding, Float64Array, Segment
from edged.pipeline import Monitor

LEAST_COSINE: Mapping[Precision, float] = {"fp32": 0.99999, "fp16": 0.999, "int8": 0.99}
MOST_RELATIVE_ERROR: Mapping[Precision, float] = {"fp32": 1e-3, "fp16": 1e-2, "int8": 0.25}
LEAST_AGREEMENT = 0.995
MOST_SCORE_DIFFERENCE = 0.05
"""Of the distance between a typical score and the threshold: what enrolling once more would change as well."""
_SAME_ONSET_S = 0.1


@dataclass(frozen=True)
class Judge:
    """One bank that an engine is tried on.

    Attributes:
        label: stream and monitor, or what else it is.
        monitor: a fresh monitor with the bank; two calls give equal ones.
        normal_scores: stored ones, with `threshold`; empty where there are none.
    """

    label: str
    monitor: Callable[[], Monitor]
    normal_scores: Float64Array = field(default_factory=lambda: np.zeros(0))
    threshold: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What one bank says.

    Attributes:
        score_difference: largest one; for anomaly, of the distance from typical to the threshold.
        agreement: share of decisions that are the same.
        stored_agreement: share of the stored normal scores that such a difference cannot move over the threshold.
    """

    label: str
    score_difference: float
    agreement: float
    stored_agreement: float = 1.0

    @property
    def is_good(self) -> bool:
        """Whether nobody would notice."""
        return (
            self.score_difference <= MOST_SCORE_DIFFERENCE
            and self.agreement >= LEAST_AGREEMENT
            and self.stored_agreement >= LEAST_AGREEMENT
        )


@dataclass(frozen=True)
class Parity:
    """All of it.

    Attributes:
        least_cosine: over all segments and rows.
        relative_error: largest |difference| over the largest |value|.
    """

    precision: Precision
    least_cosine: float
    relative_error: float
    n_segments: int
    verdicts: tuple[Verdict, ...] = ()

    @property
    def failures(self) -> list[str]:
        """What is not good enough, for people."""
        found = []
        if not self.least_cosine >= LEAST_COSINE[self.precision]:
            found.append(f"embeddings differ: cosine {self.least_cosine:.5f}, not {LEAST_COSINE[self.precision]}")
        if not self.relative_error <= MOST_RELATIVE_ERROR[self.precision]:
            allowed = MOST_RELATIVE_ERROR[self.precision]
            found.append(f"embeddings differ by {self.relative_error:.2g} of the largest value, not {allowed}")
        found += [
            f"{v.label}: scores differ by {v.score_difference:.3f}, {v.agreement:.1%} of the decisions and "
            f"{v.stored_agreement:.1%} of the stored ones hold"
            for v in self.verdicts
            if not v.is_good
        ]
        return found

    def as_figures(self) -> dict[str, float]:
        """For the engine's record; the worst of all banks."""
        figures = {"least_cosine": self.least_cosine, "relative_error": self.relative_error}
        if self.verdicts:
            figures["score_difference"] = max(v.score_difference for v in self.verdicts)
            figures["agreement"] = min(v.agreement for v in self.verdicts)
            figures["stored_agreement"] = min(v.stored_agreement for v in self.verdicts)
        return {name: float(value) for name, value in figures.items()} | {"segments": float(self.n_segments)}


def compare(
    bundle: Bundle,
    expected: Sequence[Embedding],
    actual: Sequence[Embedding],
    precision: Precision,
    judges: Sequence[Judge] = (),
) -> Parity:
    """The parity of two embedders' results on the same segments."""
    if len(expected) != len(actual) or not expected:
        raise AcceleratorError(f"{len(actual)} embeddings came of {len(expected)} segments")
    names = [spec.name for spec in bundle.manifest.representations if spec.source == "model"]
    cosine, error = 1.0, 0.0
    for name in names:
        a, b = (np.stack([e.vectors[name] for e in side]).astype(np.float64) for side in (expected, actual))
        cosine = float(np.min([cosine, *row_cosines(a, b).ravel()]))
        error = float(np.max([error, np.abs(a - b).max() / max(float(np.abs(a).max()), 1e-12)]))
    verdicts = tuple(verdict(judge, expected, actual) for judge in judges)
    return Parity(precision, cosine, error, len(expected), verdicts)


def row_cosines(a: Float64Array, b: Float64Array) -> Float64Array:
    """Cosine of rows along the last axis; two rows of zeros are alike, NaN is like nothing."""
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    both_zero = ~a.any(axis=-1) & ~b.any(axis=-1)
    cosines = (a * b).sum(axis=-1) / np.where(norms > 0, norms, 1.0)
    return np.asarray(np.where(both_zero, 1.0, np.where(np.isfinite(cosines), cosines, -1.0)))


def verdict(judge: Judge, expected: Sequence[Embedding], actual: Sequence[Embedding]) -> Verdict:
    """What a bank makes of two embedders' results."""
    if judge.monitor().name == "keyword":
        return _words_verdict(judge, expected, actual)
    (scores, thresholds), (other, _) = (_scores(judge.monitor(), side) for side in (expected, actual))
    room = np.maximum(thresholds - np.median(scores if not len(judge.normal_scores) else judge.normal_scores), 1e-9)
    difference = np.abs(other - scores)
    agreement = float(np.mean((scores > thresholds) == (other > thresholds)))
    near = difference[scores < 3.0 * thresholds]  # far beyond the threshold a difference decides nothing
    worst = float(near.max(initial=0.0))
    relative = float((difference / room)[scores < 3.0 * thresholds].max(initial=0.0))
    stored = judge.normal_scores[np.isfinite(judge.normal_scores)]
    held = float(np.mean(np.abs(stored - judge.threshold) > worst)) if len(stored) else 1.0
    return Verdict(judge.label, relative, agreement, held)


def _scores(monitor: Monitor, embeddings: Sequence[Embedding]) -> tuple[Float64Array, Float64Array]:
    scored = [one for embedding in embeddings for one in monitor.accept(embedding).scored]
    return np.array([s.anomaly_score for s in scored]), np.array([s.threshold for s in scored])


def _words_verdict(judge: Judge, expected: Sequence[Embedding], actual: Sequence[Embedding]) -> Verdict:
    found, other = (_words(judge.monitor(), side) for side in (expected, actual))
    pairs, left = [], list(other)
    for one in found:
        if (match := _same(one, left)) is not None:
            pairs.append((one, match))
            left.remove(match)
    union = len(found) + len(other) - len(pairs)
    difference = max((abs(a.score - b.score) for a, b in pairs), default=0.0)
    return Verdict(judge.label, difference, len(pairs) / union if union else 1.0)


def _words(monitor: Monitor, embeddings: Sequence[Embedding]) -> list[Detection]:
    outcomes = [*(monitor.accept(embedding) for embedding in embeddings), monitor.finish()]
    return [found for outcome in outcomes for found in outcome.detections]


def _same(one: Detection, others: Sequence[Detection]) -> Detection | None:
    within = _SAME_ONSET_S * SAMPLE_RATE_HZ
    return next(
        (o for o in others if o.keyword == one.keyword and abs(o.onset_sample - one.onset_sample) <= within), None
    )


def check_quickly(
    bundle: Bundle, segments: Sequence[Segment], trusted: Embedder, tried: Embedder, precision: Precision
) -> None:
    """A few segments by both; for an engine that was found right when it was made.

    Raises:
        AcceleratorError: they do not agree.
    """
    parity = compare(bundle, trusted.embed(segments), tried.embed(segments), precision)
    if parity.failures:
        raise AcceleratorError(f"{tried.provider}: {parity.failures[0]}", fix="build it again: `edged compile --force`")
