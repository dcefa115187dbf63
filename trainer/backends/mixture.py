"""A Gaussian mixture with full covariances (thesis 3.4.3, 3.4.5): as many components as a class has sub-clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.mixture import GaussianMixture

from edged.errors import ConfigError
from edged.flow import Float64Array
from edged.score.distances import euclidean
from edged.score.references import References
from trainer.backends.checks import above_zero, at_least, fits_covariance, rows
from trainer.backends.covariance import whitening


@dataclass(frozen=True)
class MixtureBackend:
    """Fitted state: see `fit`.

    Attributes:
        model: scikit-learn's mixture.
        unit_length: vectors are scaled to length one first.
    """

    model: GaussianMixture
    unit_length: bool

    @classmethod
    def fit(
        cls,
        references: References,
        *,
        n_components: int = 16,
        reg_covar: float = 1e-3,
        unit_length: bool = True,
        seed: int = 0,
        centres: ArrayLike | None = None,
    ) -> MixtureBackend:
        """Expectation-maximisation from k-means, or from the learned sub-cluster centres (key publication 1, III.C).

        The order of the references has no influence. With fewer distinct references than components, each becomes a
        component of its own: then the mixture orders as the nearest reference does, as the thesis notes (5.3.2).

        Args:
            references: any domains.
            n_components: at most this many.
            reg_covar: variance added to every dimension of every component.
            unit_length: as for embeddings (thesis 3.2.2).
            seed: of k-means.
            centres: (n_components, dim) where the means start; left aside when there are fewer distinct references.

        Raises:
            ConfigError: a parameter outside its range, or too many dimensions.
        """
        at_least("n_components", n_components, 1)
        at_least("seed", seed, 0)
        above_zero("reg_covar", reg_covar)
        dim = references.vectors.shape[1]
        fits_covariance(dim)
        x = _in_order(rows(references.vectors, dim, unit_length=unit_length))
        means = None if centres is None else _checked(centres, n_components, dim, unit_length=unit_length)
        n_distinct = len(np.unique(x, axis=0))
        start = _start(x, means, reg_covar) if means is not None and n_distinct >= n_components else {}
        model = GaussianMixture(min(n_components, n_distinct), reg_covar=reg_covar, random_state=seed, **start)
        return cls(model.fit(np.repeat(x, 2, axis=0) if len(x) == 1 else x), unit_length)

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """Minus the natural logarithm of the mixture's density: (n, dim) -> (n,)."""
        x = rows(vectors, self.model.n_features_in_, unit_length=self.unit_length)
        return np.asarray(-self.model.score_samples(x), np.float64) if len(x) else np.empty(0)


def _in_order(x: Float64Array) -> Float64Array:
    """Rows sorted, so that k-means draws the same ones whatever order they came in."""
    result: Float64Array = x[np.lexsort(x.T)]
    return result


def _start(x: Float64Array, means: Float64Array, reg_covar: float) -> dict[str, Float64Array]:
    """Equal weights, and every component as wide as the rows scatter around their nearest mean.

    All three must be given: scikit-learn takes weights and widths from k-means otherwise, whose clusters are others.
    """
    n_components, dim = means.shape
    residuals = x - means[euclidean(x, means).argmin(axis=1)]
    whitener, _ = whitening(residuals.T @ residuals / len(x) + reg_covar * np.eye(dim))
    return {
        "weights_init": np.full(n_components, 1.0 / n_components),
        "means_init": means,
        "precisions_init": np.repeat((whitener @ whitener.T)[np.newaxis], n_components, axis=0),
    }


def _checked(centres: ArrayLike, n_components: int, dim: int, *, unit_length: bool) -> Float64Array:
    given = np.asarray(centres, np.float64)
    if given.shape != (n_components, dim) or not np.isfinite(given).all():
        raise ConfigError(
            f"'centres' is an array of shape {given.shape}",
            fix=f"give one finite row of {dim} dimensions for each of the {n_components} components",
        )
    return rows(given, dim, unit_length=unit_length)
