"""Embeddings of many clips, with or without their time axis."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from edged.errors import AudioError
from edged.flow import Float32Array
from trainer.external.encoder import Encoder


def external_vectors(encoder: Encoder, clips: Iterable[Float32Array], *, keep_time: bool = True) -> Float32Array:
    """What an encoder says of clips.

    Args:
        encoder: see `open_encoder`.
        clips: float32 (n_samples,) each, at 16 kHz; read one at a time.
        keep_time: keep the vectors of a clip apart; else their mean.

    Returns:
        float32 (n_clips, time, dim), or (n_clips, dim) without time.

    Raises:
        AudioError: no clips, or, with time, clips of different length.
    """
    sequences = [encoder.vectors(clip) if keep_time else encoder.vectors(clip).mean(axis=0) for clip in clips]
    if not sequences:
        raise AudioError("no clips to encode", fix="name a folder of recordings")
    if len({one.shape for one in sequences}) > 1:
        lengths = sorted({len(one) for one in sequences})
        raise AudioError(f"the clips give {lengths} vectors each", fix="cut them to one length, or take the mean first")
    return np.stack(sequences)
