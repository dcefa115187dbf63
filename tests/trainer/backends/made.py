"""Embeddings of a made-up section, and what every back end needs to be fitted to them."""

from typing import Any

import numpy as np

from edged.score.references import SOURCE, References

DIM = 6
N_CLASSES = 5


def make_references(n_source: int = 30, n_target: int = 6, rows_per_clip: int = 2, seed: int = 0) -> References:
    rng = np.random.default_rng(seed)
    n = n_source + n_target
    vectors = rng.standard_normal((n, DIM)) + np.r_[np.full(n_source, 2.0), np.full(n_target, -1.0)][:, None]
    domains = (SOURCE,) * n_source + ("winter",) * n_target
    return References(vectors.astype(np.float32), domains, np.arange(n) // rows_per_clip)


def make_training(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of classes of different sizes."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(N_CLASSES), [4, 9, 15, 20, 40])
    return 2.0 * rng.standard_normal((N_CLASSES, DIM))[labels] + rng.standard_normal((len(labels), DIM)), labels


def needed(name: str) -> dict[str, Any]:
    """Parameters that a back end cannot do without."""
    vectors, labels = make_training()
    return {
        "plda": {"training_vectors": vectors, "training_labels": labels},
        "softmax": {"own_classes": [1, 3]},
        "cosine-to-centres": {"centres": np.eye(DIM)[:2]},
    }.get(name, {})


REFERENCES = make_references()
QUERIES = 2.0 * np.random.default_rng(9).standard_normal((7, DIM)).astype(np.float32)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    return np.array([v / np.sqrt(sum(x * x for x in v)) for v in np.asarray(vectors, np.float64)])


def cosine_distance(a: np.ndarray, b: np.ndarray) -> float:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return 1.0 - sum(a * b) / np.sqrt(sum(a * a) * sum(b * b))
