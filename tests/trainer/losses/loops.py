"""The equations of the margin losses as slow loops in float64: nothing here is shared with the code under test."""

import math
import statistics

import numpy as np
import torch

N_BATCH, N_CLASSES, DIM = 7, 4, 6


def problem(seed=0, n_classes=N_CLASSES, dim=DIM):
    """Embeddings, centres and labels, half of them mixed up; float64."""
    rng = np.random.default_rng(seed)
    embeddings, centres = rng.normal(size=(N_BATCH, dim)), rng.normal(size=(n_classes, dim))
    one_hot = np.eye(n_classes)
    share = np.where(np.arange(N_BATCH) % 2 == 0, 1.0, rng.uniform(0.1, 0.9, N_BATCH))[:, np.newaxis]
    first, second = rng.integers(n_classes, size=(2, N_BATCH))
    second = np.where(second == first, (first + 1) % n_classes, second)
    labels = share * one_hot[first] + (1.0 - share) * one_hot[second]
    return torch.tensor(embeddings), torch.tensor(centres), torch.tensor(labels)


def dot(a, b):
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def cosine_table(embeddings, centres):
    return [[cosine(e, c) for c in centres] for e in embeddings]


def cross_entropy(logits, labels):
    """Mean of -sum lab log softmax (eqs. 5, 6 with m = 0)."""
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        whole = sum(math.exp(value) for value in row)
        total -= sum(float(share) * math.log(math.exp(value) / whole) for share, value in zip(label, row, strict=True))
    return total / len(logits)


def adacos_scale(cosines, labels, previous):
    """Eqs. 10 and 11, with the mixture of angles for mixed-up samples."""
    total, angles = 0.0, []
    for row, label in zip(cosines, labels, strict=True):
        total += sum(math.exp(previous * c) for c, share in zip(row, label, strict=True) if share != 1.0)
        angles.append(sum(float(share) * math.acos(c) for c, share in zip(row, label, strict=True)))
    return math.log(total / len(cosines)) / math.cos(min(math.pi / 4, statistics.median(angles)))
