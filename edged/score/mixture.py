"""Gaussian mixtures with full covariances, one per domain (thesis 2.6, 3.4.3); with one component a Gaussian.

A mixture's negative log-density L becomes a distance in units of the spread, so that it can be normalised and added to
others: sqrt(2 (L - L_best) / dim), where L_best belongs to the mean of the densest component. A domain gets a component
for every `rows_per_component` rows; the smallest distance over domains counts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edged.errors import EnrolmentError
from edged.flow import Float32Array, Float64Array
from edged.score.backend import Arrays, leave_clips_out, stored
from edged.score.covariance import ledoit_wolf, usual_variance
from edged.score.distances import TINY, euclidean
from edged.score.em import Components, Points, Prior, expectation_maximisation, log_sum_exp
from edged.score.kmeans import kmeans_labels
from edged.score.references import References

_MAX_RANK = 128
_COMPONENT_RANKS = {"log_weights": 1, "means": 2, "whiteners": 3, "base": 1, "half_log_determinants": 1}


@dataclass(frozen=True)
class Shape:
    """What the covariances are like; see `MixtureBackend.fit`."""

    n_components: int
    rows_per_component: int
    prior_rows: float
    shrinkage: float | None
    seed: int


@dataclass(frozen=True)
class MixtureBackend:
    """Fitted state: see `fit`.

    Attributes:
        centre: (dim,) mean of all references.
        directions: (rank, dim) orthonormal rows that span them, the widest 128 at most.
        components: of all domains.
        domains: (n_components,) number of the domain each belongs to.
        members: (n_references, dim), to name the nearest clip.
        left_out: (n_references,) leave-clip-out distances.
    """

    centre: Float64Array
    directions: Float64Array
    components: Components
    domains: NDArray[np.int64]
    members: Float64Array
    left_out: Float64Array

    @classmethod
    def fit(
        cls,
        references: References,
        *,
        n_components: int = 4,
        rows_per_component: int = 10,
        prior_rows: float = 20.0,
        shrinkage: float | None = None,
        seed: int = 0,
    ) -> MixtureBackend:
        """Expectation-maximisation from k-means in every domain.

        Args:
            references: any domains.
            n_components: at most, in a domain; 1 is a Gaussian.
            rows_per_component: a domain of fewer than two times so many rows gets one component.
            prior_rows: the covariance within all clusters counts as so many rows of every component.
            shrinkage: towards a sphere, 0 to 1; None = Ledoit and Wolf's.
            seed: of k-means.

        Raises:
            EnrolmentError: a parameter outside its range.
        """
        counts_ok = min(n_components, rows_per_component) >= 1
        if not counts_ok or prior_rows < 0 or not 0.0 <= (shrinkage or 0.0) <= 1.0 or seed < 0:
            raise EnrolmentError("no mixture back end with such parameters", fix="correct them in the bundle")
        shape = Shape(n_components, rows_per_component, prior_rows, shrinkage, seed)
        variance = usual_variance(references)
        nothing = np.empty(0)

        def without(others: References, vectors: Float32Array) -> Float64Array:
            return cls(*_fitted(others, shape, variance), nothing).distance(vectors)

        return cls(*_fitted(references, shape, variance), leave_clips_out(references, without))

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """Smallest distance to a domain, per root of dimension: (n, dim) -> (n,), 0 in the densest place."""
        points = _in_span(vectors, self.centre, self.directions)
        log_densities = self.components.log_densities(points)
        domains = range(int(self.domains.max()) + 1)
        best = np.max([log_sum_exp(log_densities[:, self.domains == d]) for d in domains], axis=0)
        excess = -best - self.components.half_log_determinants.min()
        return np.asarray(np.sqrt(np.maximum(2.0 * excess / points.dim, 0.0)))

    def nearest(self, vectors: ArrayLike) -> NDArray[np.int64]:
        """Row of the closest reference: (n, dim) -> (n,)."""
        return np.asarray(euclidean(vectors, self.members).argmin(axis=1), np.int64)

    def leave_clip_out(self) -> Float64Array:
        """(n_references,): distance with the row's own clip left out of the fit; NaN without others."""
        return self.left_out

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """All attributes."""
        own = {key: value for key, value in vars(self).items() if key != "components"}
        return own | dict(vars(self.components))

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> MixtureBackend:
        """Restore what `to_arrays` gave."""
        ranks = {"centre": 1, "directions": 2, "members": 2, "left_out": 1} | _COMPONENT_RANKS
        found = {key: np.asarray(stored(arrays, key, rank), np.float64) for key, rank in ranks.items()}
        components = Components(**{field.name: found.pop(field.name) for field in fields(Components)})
        return cls(**found, components=components, domains=np.asarray(stored(arrays, "domains", 1), np.int64))


def _fitted(
    references: References, shape: Shape, variance: Float64Array
) -> tuple[Float64Array, Float64Array, Components, NDArray[np.int64], Float64Array]:
    """All of a back end but the distances left out; `variance` (dim,) where the rows themselves show none."""
    members = np.asarray(references.vectors, np.float64)
    centre = members.mean(axis=0)
    directions = _span(members - centre)
    points, domain_of_row = _in_span(members, centre, directions), references.domain_numbers
    labels = [_clusters(points.select(domain_of_row == d), shape) for d in range(domain_of_row.max() + 1)]
    prior = _prior(points, _joined(labels, domain_of_row), variance, shape)
    parts = [expectation_maximisation(points.select(domain_of_row == d), own, prior) for d, own in enumerate(labels)]
    stacked = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Components)}
    domains = np.repeat(np.arange(len(parts)), [len(part.base) for part in parts])
    return centre, directions, Components(**stacked), domains, members


def _span(centred: Float64Array) -> Float64Array:
    """Orthonormal rows (rank, dim) that span centred rows (n, dim): those of the largest variance, 128 at most."""
    _, singular, directions = np.linalg.svd(centred, full_matrices=False)
    known = singular > 1e-9 * max(float(singular[0]), TINY)
    return np.asarray(directions[known][:_MAX_RANK])


def _in_span(vectors: ArrayLike, centre: Float64Array, directions: Float64Array) -> Points:
    centred = np.asarray(vectors, np.float64) - centre
    coordinates = centred @ directions.T
    outside = np.square(centred).sum(axis=1) - np.square(coordinates).sum(axis=1)
    return Points(coordinates, np.maximum(outside, 0.0), len(centre))


def _clusters(points: Points, shape: Shape) -> NDArray[np.int64]:
    n_components = min(shape.n_components, max(1, len(points.outside) // shape.rows_per_component))
    return kmeans_labels(points.coordinates, n_components, shape.seed)


def _joined(labels: list[NDArray[np.int64]], domain_of_row: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for every cluster of every domain, in the order of the rows: (n,)."""
    result = np.zeros(len(domain_of_row), np.int64)
    first = 0
    for domain, own in enumerate(labels):
        result[domain_of_row == domain] = first + own
        first += int(own.max()) + 1
    return result


def _prior(points: Points, clusters: NDArray[np.int64], variance: Float64Array, shape: Shape) -> Prior:
    """The covariance within clusters, or where they show none `variance` as a sphere."""
    one_hot = np.eye(clusters.max() + 1)[clusters]
    means = one_hot.T @ points.coordinates / one_hot.sum(axis=0)[:, np.newaxis]
    residuals = points.coordinates - means[clusters]
    n, rank = residuals.shape
    outside = float(points.outside.mean())
    if np.square(residuals).sum() / n + outside <= TINY * variance.sum():
        average = float(variance.mean())
        return Prior(average * np.eye(rank), average * (points.dim - rank), max(shape.prior_rows, 1.0), 1.0)
    intensity = shape.shrinkage if shape.shrinkage is not None else max(_intensity(residuals, points.dim), 1.0 / n)
    return Prior(residuals.T @ residuals / n, outside, shape.prior_rows, intensity)


def _intensity(residuals: Float64Array, dim: int) -> float:
    """Ledoit and Wolf's of rows (n, rank) that lie in a space of `dim` dimensions."""
    return ledoit_wolf(np.pad(residuals, ((0, 0), (0, dim - residuals.shape[1]))))[0]
