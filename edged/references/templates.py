"""From the embedding of an enrolled clip to a template: the part of it that is the word, if it is fit for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edged.embed.bundle import Bundle
from edged.errors import EnrolmentError
from edged.flow import SAMPLE_RATE_HZ, Embedding, Float32Array
from edged.references.clips import Clip, RefusedClip
from edged.references.keyword_gate_clip import WordSound, word_sound

EARLY_S = 0.064
"""A word is known so long before its end: its last rows are no part of its template, and it is reported earlier."""


@dataclass(frozen=True)
class SpokenClip:
    """A clip of a word, embedded.

    Attributes:
        rows: float32 (n_frames, dim), the whole clip, silence and all.
        sound: where the word is in it.
        hop_samples: between two rows.
    """

    clip: Clip
    rows: Float32Array
    sound: WordSound
    hop_samples: int

    @property
    def span(self) -> tuple[int, int]:
        """First row of the word, and one past its last."""
        return self.sound.first // self.hop_samples, -(-self.sound.last // self.hop_samples)

    @property
    def template(self) -> Float32Array:
        """The word but for its last moment, float32 (n_rows, dim)."""
        return _matched_rows(self.rows[slice(*self.span)], self.hop_samples)


def spoken_clip(bundle: Bundle, clip: Clip, embeddings: Sequence[Embedding]) -> SpokenClip | RefusedClip:
    """Look for the word in an embedded clip."""
    name, hop = bundle.manifest.representations[0].name, int(bundle.manifest.features["hop_samples"])
    sound = word_sound(clip.samples)
    if sound.fault:
        return RefusedClip(clip.name, sound.fault, sound.reason)
    return SpokenClip(clip, np.concatenate([_valid_rows(one, name, hop) for one in embeddings]), sound, hop)


def template_of_clip(name: str, samples: Float32Array, rows: Float32Array, hop_samples: int) -> Float32Array:
    """Cut the silence off, and the word's last moment.

    Args:
        name: of the clip, for the error.
        samples: float32 (n_samples,), the whole clip.
        rows: float32 (n_frames, dim), its embedding, one row per `hop_samples`.

    Returns:
        float32 (n_rows, dim).

    Raises:
        EnrolmentError: nothing is heard in it, or what is heard is too short or too long for a word.
    """
    sound = word_sound(samples)
    if sound.fault:
        raise EnrolmentError(f"{name}: {sound.reason}")
    return _matched_rows(rows[sound.first // hop_samples : -(-sound.last // hop_samples)], hop_samples)


def early_rows(n_matched: float, hop_samples: int) -> int:
    """How many rows of a word come after those that are matched.

    >>> [early_rows(n, 256) for n in (40, 12, 9, 1)]
    [4, 4, 3, 0]
    """
    return min(round(EARLY_S * SAMPLE_RATE_HZ / hop_samples), int(n_matched / 3))


def _matched_rows(word: Float32Array, hop_samples: int) -> Float32Array:
    """A word without its last rows: no more than a quarter of it is left out."""
    n_early = min(round(EARLY_S * SAMPLE_RATE_HZ / hop_samples), len(word) // 4)
    return np.ascontiguousarray(word[: len(word) - n_early])


def _valid_rows(embedding: Embedding, name: str, hop_samples: int) -> Float32Array:
    n_valid = -(-(embedding.sample_end - embedding.sample_start) // hop_samples)
    return embedding.vectors[name][:n_valid]
