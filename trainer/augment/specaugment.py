"""SpecAugment (masks over time and frequency) and level jitter on log-mel frames or other images."""

from __future__ import annotations

import torch
from torch import Tensor


def mask_spectrogram(
    frames: Tensor,
    fill: float,
    *,
    n_masks: int = 2,
    max_bands: int = 10,
    max_frames: int = 8,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Silence random bands and stretches: (batch, time, n_mels) -> the same shape, on any device."""
    drawn_on = generator.device if generator is not None else frames.device
    hidden = torch.zeros(frames.shape, dtype=torch.bool, device=frames.device)
    for _ in range(n_masks):
        bands = _span_mask(len(frames), frames.shape[2], max_bands, drawn_on, generator)
        hidden |= bands.to(frames.device).unsqueeze(1)
        stretches = _span_mask(len(frames), frames.shape[1], max_frames, drawn_on, generator)
        hidden |= stretches.to(frames.device).unsqueeze(2)
    return frames.masked_fill(hidden, fill)


def _span_mask(
    n_rows: int, length: int, max_width: int, device: torch.device, generator: torch.Generator | None
) -> Tensor:
    """One random span per row, up to ``max_width`` wide: bool (n_rows, length)."""
    width = torch.randint(0, max_width + 1, (n_rows, 1), generator=generator, device=device)
    start = (torch.rand(n_rows, 1, generator=generator, device=device) * (length - width + 1)).long()
    place = torch.arange(length, device=device).unsqueeze(0)
    return (place >= start) & (place < start + width)


def jitter_level(frames: Tensor, silence: float, *, spread: float = 0.3) -> Tensor:
    """Shift each row's level by up to ``spread`` (0.3 = 6 dB of the keyword front end); silence stays silence."""
    shift = (2.0 * torch.rand(len(frames), 1, 1, device=frames.device) - 1.0) * spread
    return (frames + shift).clamp(min=silence)
