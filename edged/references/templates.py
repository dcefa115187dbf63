"""From the embedding of an enrolled clip to a template: the part of it that is the word, if it is fit for one."""

from __future__ import annotations

import numpy as np

from edged.errors import EnrolmentError
from edged.features.activity import sound_span
from edged.flow import SAMPLE_RATE_HZ, Float32Array

MIN_WORD_S, MAX_WORD_S = 0.12, 3.0


def template_of_clip(name: str, samples: Float32Array, rows: Float32Array, hop_samples: int) -> Float32Array:
    """Cut the silence off.

    Args:
        name: of the clip, for the error.
        samples: float32 (n_samples,), the whole clip.
        rows: float32 (n_frames, dim), its embedding, one row per `hop_samples`.

    Returns:
        float32 (n_rows, dim).

    Raises:
        EnrolmentError: nothing is heard in it, or what is heard is too short or too long for a word.
    """
    span = sound_span(samples)
    if span is None:
        raise EnrolmentError(f"{name}: nothing is heard in it", fix="record the word again, nearer or louder")
    duration_s = (span[1] - span[0]) / SAMPLE_RATE_HZ
    if duration_s < MIN_WORD_S:
        raise EnrolmentError(f"{name}: {duration_s:.2f} s of sound are too short for a word", fix="record it again")
    if duration_s > MAX_WORD_S:
        raise EnrolmentError(
            f"{name}: {duration_s:.1f} s of sound are too long for a word", fix="cut the word out of it"
        )
    first, last = span[0] // hop_samples, -(-span[1] // hop_samples)
    return np.ascontiguousarray(rows[first:last])
