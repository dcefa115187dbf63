"""The anomaly score: distances of several representations, made comparable and summed.

    statistics --density----> distance --normalised--\
    embedding ---cosine-----> distance --normalised---+-- weighted mean = anomaly score
    ...

A distance is normalised by the leave-one-clip-out distances of its own reference set: 0 is a typical normal sound, 1 is
one typical spread beyond it. So representations of any scale add up, and a threshold means the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edged.errors import BundleError, EnrolmentError, StateError
from edged.flow import Float32Array, Float64Array
from edged.score.backend import Arrays, Backend, stored
from edged.score.cosine import CosineBackend
from edged.score.density import DensityBackend
from edged.score.distances import TINY
from edged.score.lof import LofBackend
from edged.score.mixture import MixtureBackend
from edged.score.references import References
from edged.score.shrinkage import ShrinkageBackend

Fit = Callable[..., Backend]
Fitted = CosineBackend | DensityBackend | LofBackend | MixtureBackend | ShrinkageBackend

BACKENDS: dict[str, type[Fitted]] = {
    "cosine": CosineBackend,
    "density": DensityBackend,
    "lof": LofBackend,
    "mixture": MixtureBackend,
    "shrinkage": ShrinkageBackend,
}


class Representation(Protocol):
    """What this module needs of a bundle's `RepresentationSpec`."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def backend(self) -> str: ...  # noqa: D102
    @property
    def params(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def weight(self) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class AnomalyScore:
    """One judgement.

    Attributes:
        anomaly_score: 0 = typically normal, 1 = one typical spread beyond; higher = more anomalous.
        domain: domain of the nearest reference.
        reference_index: its row in the reference set.
    """

    anomaly_score: float
    domain: str
    reference_index: int


@dataclass(frozen=True)
class Part:
    """One fitted representation: `(distance - centre) / spread` is its normalised score."""

    name: str
    backend: Backend
    weight: float
    centre: float
    spread: float

    def normalised(self, distances: Float64Array) -> Float64Array:
        """Comparable between representations."""
        return (distances - self.centre) / self.spread


@dataclass(frozen=True)
class AnomalyScorer:
    """Fitted scorer of one monitor.

    Attributes:
        parts: one per representation.
        domains: domain of every reference row.
        normal_scores: (n_references,) leave-one-clip-out scores of the references; NaN where nothing was left.
    """

    parts: tuple[Part, ...]
    domains: tuple[str, ...]
    normal_scores: Float64Array

    def score(self, vectors: Mapping[str, Float32Array]) -> AnomalyScore:
        """Judge one segment.

        Args:
            vectors: representation name -> (dim,).

        Raises:
            BundleError: a vector is missing or not finite.
        """
        batch = {part.name: _row(vectors, part.name) for part in self.parts}
        heaviest = max(self.parts, key=lambda part: part.weight)
        row = int(heaviest.backend.nearest(batch[heaviest.name])[0])
        return AnomalyScore(float(self.scores(batch)[0]), self.domains[row], row)

    def scores(self, vectors: Mapping[str, Float32Array]) -> Float64Array:
        """Anomaly scores of many segments: name -> (n, dim) gives (n,)."""
        return _combine(self.parts, [part.backend.distance(vectors[part.name]) for part in self.parts])

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything fitted, for storage; `from_arrays` needs nothing else."""
        arrays: dict[str, NDArray[np.generic]] = {
            "names": np.array([part.name for part in self.parts]),
            "backends": np.array([backend_name(part.backend) for part in self.parts]),
            "parts": np.array([[part.weight, part.centre, part.spread] for part in self.parts]),
            "domains": np.array(self.domains),
            "normal_scores": self.normal_scores,
        }
        for index, part in enumerate(self.parts):
            arrays |= {f"{index}/{key}": value for key, value in part.backend.to_arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> AnomalyScorer:
        """Restore what `to_arrays` gave, bit for bit.

        Raises:
            StateError: an array is missing or damaged.
        """
        names = [str(name) for name in stored(arrays, "names", 1)]
        backends = [str(name) for name in stored(arrays, "backends", 1)]
        numbers = np.asarray(stored(arrays, "parts", 2), np.float64)
        parts = []
        for index, (name, kind) in enumerate(zip(names, backends, strict=True)):
            if kind not in BACKENDS:
                raise StateError(f"stored references name an unknown back end '{kind}'", fix="enrol again")
            prefix = f"{index}/"
            own = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
            parts.append(Part(name, BACKENDS[kind].from_arrays(own), *(float(x) for x in numbers[index])))
        domains = tuple(str(domain) for domain in stored(arrays, "domains", 1))
        normal_scores = arrays.get("normal_scores")
        if normal_scores is None:
            raise StateError("stored references lack their normal scores", fix="enrol again")
        return cls(tuple(parts), domains, np.asarray(normal_scores, np.float64))


def fit_anomaly(specs: Sequence[Representation], references: Mapping[str, References]) -> AnomalyScorer:
    """Fit every representation's back end and the normalisation.

    Args:
        specs: what is scored, and how; those of weight 0 are skipped.
        references: representation name -> its vectors; all have the same rows.

    Raises:
        BundleError: an unknown back end or parameter.
        EnrolmentError: no representation, or rows that differ between representations.
    """
    used = [spec for spec in specs if spec.weight > 0]
    if not used:
        raise EnrolmentError("no representation has a weight above 0")
    first = references[used[0].name]
    if any(references[spec.name].domains != first.domains for spec in used):
        raise EnrolmentError("the representations' references have different rows")
    parts = tuple(_fit_part(spec, references[spec.name]) for spec in used)
    left_out = _combine(parts, [part.backend.leave_clip_out() for part in parts])
    return AnomalyScorer(parts, first.domains, np.where(_has_company(first), left_out, np.nan))


def _fit_part(spec: Representation, references: References) -> Part:
    if spec.backend not in BACKENDS:
        raise BundleError(f"unknown back end '{spec.backend}'", fix=f"one of {', '.join(BACKENDS)}")
    fit: Fit = BACKENDS[spec.backend].fit
    try:
        backend = fit(references, **dict(spec.params))
    except TypeError as error:
        raise BundleError(f"back end '{spec.backend}' of '{spec.name}': {error}") from error
    centre, spread = _normalisation(backend.leave_clip_out()[_has_company(references)])
    return Part(spec.name, backend, spec.weight, centre, spread)


def _has_company(references: References) -> NDArray[np.bool_]:
    """Bool (n,): rows whose domain has another clip.

    A domain's only clip, left out, is as far from the rest as the domains are apart; that says nothing about the spread
    of normal sound and would blunt every score. If no domain has two clips, all rows count.
    """
    clips_of = {domain: set[int]() for domain in references.domains}
    for domain, clip in zip(references.domains, references.clips.tolist(), strict=True):
        clips_of[domain].add(clip)
    result = np.array([len(clips_of[domain]) > 1 for domain in references.domains])
    return result if result.any() else np.ones(len(references), np.bool_)


def _normalisation(left_out: Float64Array) -> tuple[float, float]:
    """Mean and spread of normal distances.

    A spread known from few rows may come out far too small by chance, so it is never taken below a twentieth of the
    mean, or half of it over the number of rows. Without a second clip there is nothing to compare with: the raw
    distance stands.
    """
    known = left_out[np.isfinite(left_out)]
    if len(known) < 2:
        return 0.0, 1.0
    centre = float(known.mean())
    floor = max(0.05, 0.5 / len(known))
    return centre, max(float(known.std()), floor * centre, TINY)


def _combine(parts: Sequence[Part], distances: Sequence[Float64Array]) -> Float64Array:
    """Weighted mean of the normalised scores."""
    total = sum(part.weight for part in parts)
    weighted = [part.weight * part.normalised(d) for part, d in zip(parts, distances, strict=True)]
    return np.asarray(np.sum(weighted, axis=0) / total)


def _row(vectors: Mapping[str, Float32Array], name: str) -> Float32Array:
    vector = vectors.get(name)
    if vector is None or not np.isfinite(vector).all():
        raise BundleError(f"the vector '{name}' is missing or not finite", fix="verify the bundle")
    return vector[np.newaxis, :]


def backend_name(backend: Backend) -> str:
    """As bundles name it."""
    return next(name for name, kind in BACKENDS.items() if isinstance(backend, kind))
