"""Words as an embedder would give them: smooth paths through a space, the same for a word, varied by who says it."""

import numpy as np

from edged.flow import SAMPLE_RATE_HZ
from edged.references.clips import Clip
from edged.references.keyword_gate_clip import WordSound
from edged.references.templates import SpokenClip

DIM, HOP = 24, 256


def path(seed, n_rows, wander=0.35):
    """float32 (n_rows, DIM), rows of unit length."""
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal((n_rows, DIM))
    rows = np.empty((n_rows, DIM))
    rows[0] = steps[0]
    for index in range(1, n_rows):
        rows[index] = (1 - wander) * rows[index - 1] + wander * 2.0 * steps[index]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def background(n_rows=3000):
    """Other speech."""
    return path(99_999, n_rows)


def said(word, speaker, *, n_rows=30, variation=0.35):
    """The word of a number, by somebody, without silence: stretched a little, and with his own colour."""
    rng = np.random.default_rng([word, speaker])
    places = np.linspace(0, n_rows - 1, int(n_rows * rng.uniform(0.85, 1.15)))
    rows = path(word, n_rows)[places.round().astype(int)]
    rows = rows + variation * rng.standard_normal(DIM) / np.sqrt(DIM)
    rows = rows + variation * rng.standard_normal(rows.shape) / np.sqrt(DIM)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def spoken(name, rows, *, before=8, after=8, doubts=(), **sound):
    """A clip of a word with other sound around it."""
    around = path(sum(map(ord, name)), before + after + 1)[: before + after]
    whole = np.concatenate([around[:before], rows, around[before:]])
    first, last = before * HOP, (before + len(rows)) * HOP
    clip = Clip(name, name, len(whole) * HOP, lambda: np.zeros(len(whole) * HOP, np.float32), tuple(doubts))
    facts = {"range_db": 40.0} | sound
    assert len(whole) * HOP < 10 * SAMPLE_RATE_HZ
    return SpokenClip(clip, whole, WordSound(first, last, **facts), HOP)
