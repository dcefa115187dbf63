"""Log-likelihood ratio of a two-covariance PLDA (thesis 2.6 and 3.4.3, Table 6).

    class mean y ~ N(mu, B)      vector x = y + N(0, W)
    distance = log p(x) - log p(x | the references are of x's class)

The model is that of Sizov, Lee and Kinnunen, "Unifying probabilistic linear discriminant analysis variants in biometric
authentication", S+SSPR 2014. B and W are the moment estimates of a one-way layout with unequal class sizes (Searle,
Casella and McCulloch, "Variance components", 1992, chapter 3), so nothing iterates. In the basis where W is the
identity and B is diagonal, every dimension is a ratio of two normal densities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edged.errors import ConfigError
from edged.flow import Float64Array
from edged.score.references import References
from trainer.backends.checks import fits_covariance, rows
from trainer.backends.covariance import shrunk_covariance, whitening


@dataclass(frozen=True)
class TwoCovariances:
    """The trained model.

    Attributes:
        mean: mu (dim,).
        between: B (dim, dim), positive semi-definite.
        within: W (dim, dim), positive definite.
    """

    mean: Float64Array
    between: Float64Array
    within: Float64Array

    def diagonalising(self) -> tuple[Float64Array, Float64Array]:
        """T (dim, dim) with T' W T = I and T' B T diagonal, and that diagonal (dim,), 0 or more."""
        whitener, _ = whitening(self.within)
        eigenvalues, directions = np.linalg.eigh(whitener.T @ self.between @ whitener)
        return whitener @ directions, np.maximum(eigenvalues, 0.0)


def two_covariances(vectors: Float64Array, labels: NDArray[np.generic]) -> TwoCovariances:
    """Moment estimates from labelled vectors (n, dim), (n,): two or more labels, fewer than vectors.

    The covariance within classes is shrunk and so never singular; without any spread within them it is a sphere of a
    thousandth of the total variance. The one between classes is what the spread of the class means exceeds it by;
    directions in which it does not are given none.
    """
    names, members, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    mean = vectors.mean(axis=0)
    class_means = np.zeros((len(names), vectors.shape[1]))
    np.add.at(class_means, members, vectors)
    class_means /= sizes[:, np.newaxis]
    total = float(vectors.var(axis=0).mean())
    within = shrunk_covariance(vectors, class_means[members], otherwise=1e-3 * total or 1.0)
    within *= len(vectors) / (len(vectors) - len(names))
    offsets = (class_means - mean) * np.sqrt(sizes)[:, np.newaxis]
    usual_size = (len(vectors) - np.square(sizes).sum() / len(vectors)) / (len(names) - 1)
    between = (offsets.T @ offsets / (len(names) - 1) - within) / usual_size
    eigenvalues, directions = np.linalg.eigh(between)
    return TwoCovariances(mean, (directions * np.maximum(eigenvalues, 0.0)) @ directions.T, within)


@dataclass(frozen=True)
class PldaBackend:
    """Fitted state, in the basis of `TwoCovariances.diagonalising`: see `fit`.

    Attributes:
        mean: (dim,) of the model.
        basis: (dim, dim).
        spread: (dim,) variance between classes; 1 is that within.
        own_mean: (dim,) expected class mean of the references.
        own_spread: (dim,) what remains unknown of it.
        unit_length: vectors are scaled to length one first.
    """

    mean: Float64Array
    basis: Float64Array
    spread: Float64Array
    own_mean: Float64Array
    own_spread: Float64Array
    unit_length: bool

    @classmethod
    def fit(
        cls,
        references: References,
        *,
        training_vectors: ArrayLike,
        training_labels: Sequence[object] | NDArray[np.generic],
        unit_length: bool = True,
    ) -> PldaBackend:
        """Train the model and take all references as one class.

        Args:
            references: of one machine.
            training_vectors: (n, dim) embeddings of all machines.
            training_labels: n classes of them, at least two different ones and one of them twice.
            unit_length: as for embeddings (thesis 3.2.2).

        Raises:
            ConfigError: training data that does not fit, or too many dimensions.
        """
        dim = references.vectors.shape[1]
        fits_covariance(dim)
        model = two_covariances(*_training(training_vectors, training_labels, dim, unit_length=unit_length))
        return cls.enrolled(model, rows(references.vectors, dim, unit_length=unit_length), unit_length=unit_length)

    @classmethod
    def enrolled(cls, model: TwoCovariances, x: Float64Array, *, unit_length: bool) -> PldaBackend:
        """The posterior of the class mean given all its vectors x (n, dim)."""
        basis, spread = model.diagonalising()
        gain = spread / (1.0 + len(x) * spread)
        own_mean = gain * ((x - model.mean) @ basis).sum(axis=0)
        return cls(model.mean, basis, spread, own_mean, gain, unit_length)

    def distance(self, vectors: ArrayLike) -> Float64Array:
        """Minus the log-likelihood ratio: (n, dim) -> (n,); below 0 = rather of the references' class."""
        x = (rows(vectors, len(self.mean), unit_length=self.unit_length) - self.mean) @ self.basis
        return _minus_log_normal(x - self.own_mean, 1.0 + self.own_spread) - _minus_log_normal(x, 1.0 + self.spread)


def _minus_log_normal(residuals: Float64Array, variance: Float64Array) -> Float64Array:
    """Up to dim / 2 log 2 pi, which the ratio cancels: (n, dim), (dim,) -> (n,)."""
    result: Float64Array = 0.5 * (np.square(residuals) / variance + np.log(variance)).sum(axis=1)
    return result


def _training(
    vectors: ArrayLike, labels: Sequence[object] | NDArray[np.generic], dim: int, *, unit_length: bool
) -> tuple[Float64Array, NDArray[np.generic]]:
    x, names = np.asarray(vectors, np.float64), np.asarray(labels)
    if x.ndim != 2 or x.shape[1] != dim or not np.isfinite(x).all():
        raise ConfigError(f"'training_vectors' is an array of shape {x.shape}", fix=f"give finite rows of {dim}")
    if names.shape != (len(x),) or not 2 <= len(np.unique(names)) < len(x):
        raise ConfigError(
            "'training_labels' do not group the training vectors",
            fix="give one label per row, at least two classes and one of them twice",
        )
    return rows(x, dim, unit_length=unit_length), names
