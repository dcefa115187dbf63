"""A map of the embedding space by t-SNE, and how far anomalies lie from normal sound in it (thesis 5.4.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edged.errors import UsageError
from edged.flow import Float64Array
from edged.score.distances import TINY, euclidean, unit

MAX_PERPLEXITY = 30.0
MIN_TSNE_POINTS = 5
"""Fewer points have no neighbourhoods to keep; they are projected linearly."""
_START_SPREAD = 1e-4
_DISTURBANCE = 1e-5


def embedding_map(vectors: ArrayLike, *, seed: int = 0) -> Float64Array:
    """Embeddings on a plane by t-SNE: (n, dim) -> (n, 2).

    The vectors are brought to length one, where Euclidean and cosine distance order all pairs alike (Lemma 3.1). The
    perplexity is 30, or a third of the neighbours there are. Fewer than five vectors are projected on their principal
    axes instead. The same call gives the same bits: one thread, and a start on the principal axes.

    Args:
        vectors: finite.
        seed: of the small disturbance of the start; another seed is another trial of Table 21.

    Raises:
        UsageError: no rows of vectors, or values that are not finite.
    """
    x = np.asarray(vectors, np.float64)
    if x.ndim != 2 or 0 in x.shape or not np.isfinite(x).all():
        raise UsageError(f"an embedding map needs rows of finite values, not shape {x.shape}", fix="embed more clips")
    points = unit(x)
    start = _principal_axes(points)
    return start if len(points) < MIN_TSNE_POINTS else _tsne(points, start, seed)


def nearest_normal_distance(points: ArrayLike, is_anomalous: ArrayLike) -> float:
    """Average distance from each anomalous projection to the closest normal one (Table 21); larger = better apart.

    Args:
        points: (n, 2) of `embedding_map`.
        is_anomalous: bool (n,).

    Raises:
        UsageError: no normal or no anomalous point.
    """
    x, anomalous = np.asarray(points, np.float64), np.asarray(is_anomalous, bool)
    if anomalous.all() or not anomalous.any():
        raise UsageError("the distance needs normal and anomalous clips", fix="name a test split that holds both")
    return float(euclidean(x[anomalous], x[~anomalous]).min(axis=1).mean())


def _tsne(points: Float64Array, start: Float64Array, seed: int) -> Float64Array:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    spread = max(float(start[:, 0].std()), TINY)
    disturbance = _DISTURBANCE * np.random.default_rng(seed).standard_normal(start.shape)
    perplexity = min(MAX_PERPLEXITY, (len(points) - 1) / 3.0)
    tsne = TSNE(perplexity=perplexity, init=(start / spread * _START_SPREAD + disturbance).astype(np.float32))
    with threadpool_limits(1):  # the order in which threads add up is not fixed, and t-SNE is chaotic
        return np.asarray(tsne.fit_transform(points), np.float64)


def _principal_axes(points: Float64Array) -> Float64Array:
    """The two principal components, (n, dim) -> (n, 2); the sign of an axis makes its largest value positive."""
    centred = points - points.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    axes = np.zeros((len(points), 2))
    n_axes = min(2, len(singular))
    axes[:, :n_axes] = left[:, :n_axes] * singular[:n_axes]
    signs: NDArray[np.float64] = np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    return axes * np.where(signs == 0.0, 1.0, signs)
