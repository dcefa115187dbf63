"""Embeddings of whole recordings from those of their segments (thesis section 6.3.4, figure 28)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from edged.flow import Float32Array
from trainer.data.keyword_segments import SEGMENT_FRAMES

BATCH = 256


def centred_segments(frames: Float32Array, step_frames: int, silence: float) -> Float32Array:
    """Segments whose middles lie on the frames 0, step, 2 step, ...: float32 (n_segments, 16, n_mels).

    Half a segment of silence on either side makes the middles lie where they belong.
    """
    half = SEGMENT_FRAMES // 2
    padded = np.pad(frames, ((half, half + step_frames), (0, 0)), constant_values=silence)
    starts = np.arange(0, len(frames) + step_frames, step_frames)[:, None] + np.arange(SEGMENT_FRAMES)
    return np.asarray(padded[np.minimum(starts, len(padded) - 1)], dtype=np.float32)


def embed_segments(network: nn.Module, segments: Float32Array) -> Float32Array:
    """The network's output for every segment: float32 (n_segments, ...)."""
    network.eval()
    with torch.no_grad():
        parts = [network(torch.from_numpy(segments[i : i + BATCH])).numpy() for i in range(0, len(segments), BATCH)]
    return np.concatenate(parts)


def embed_recording(network: nn.Module, frames: Float32Array, step_frames: int, silence: float) -> Float32Array:
    """The mean over all segments of what they say of each frame: (n_frames, n_mels) -> float32 (n_frames, dim)."""
    rows = embed_segments(network, centred_segments(frames, step_frames, silence))  # (n_segments, 16, dim)
    half = SEGMENT_FRAMES // 2
    total = np.zeros((len(frames) + 2 * SEGMENT_FRAMES + step_frames, rows.shape[2]), dtype=np.float64)
    count = np.zeros(len(total))
    for index, segment in enumerate(rows):
        at = slice(index * step_frames, index * step_frames + SEGMENT_FRAMES)
        total[at] += segment
        count[at] += 1.0
    inside = slice(half, half + len(frames))
    return np.asarray(total[inside] / count[inside, None], dtype=np.float32)
