"""The anomaly front end in torch, batched and on any device: the same numbers as `edged.features.anomaly`.

Training mixes waveforms, so features are computed per batch; enrolment and the daemon use the numpy original. A test
holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from edged.features.anomaly import AnomalySpec
from edged.features.mel import mel_weights
from edged.features.spectrogram import hann
from edged.features.spectrum import first_bin
from trainer.precision import in_float32


class TorchAnomalyFeatures(nn.Module):
    """(batch, segment_samples) -> the network's inputs, in the order of `spec.inputs`."""

    window: Tensor
    mel: Tensor

    def __init__(self, spec: AnomalySpec) -> None:
        super().__init__()
        self.spec = spec
        weights = mel_weights(spec.n_mels, spec.n_fft, spec.sample_rate_hz, spec.mel_fmin_hz, spec.mel_fmax_hz)
        self.register_buffer("window", torch.tensor(hann(spec.n_fft)), persistent=False)
        self.register_buffer("mel", torch.tensor(weights), persistent=False)

    @in_float32
    @torch.no_grad()
    def forward(self, signals: Tensor) -> tuple[Tensor, ...]:
        """Features of whole segments: float32 (batch, segment_samples)."""
        frames = signals.unfold(1, self.spec.n_fft, self.spec.frame_hop_samples) * self.window
        magnitudes = torch.fft.rfft(frames).abs()  # (batch, n_frames, n_bins)
        level = self._level(magnitudes) / self.window.norm()  # (batch,)
        relative = magnitudes / (level * self.window.norm())[:, None, None]
        makers: dict[str, Callable[[], Tensor]] = {
            "spectrogram": lambda: self._spectrogram(relative),
            "log_mel": lambda: self._log_mel(relative),
            "spectrum": lambda: self._spectrum(signals, level),
        }
        return tuple(makers[name]() for name in self.spec.inputs)

    def _level(self, magnitudes: Tensor) -> Tensor:
        """(batch,): see `edged.features.anomaly._level`."""
        floor: Tensor = self.window.norm()
        if not self.spec.normalise_level:
            return floor.expand(len(magnitudes))
        low = first_bin(self.spec.mel_fmin_hz, self.spec.n_fft, self.spec.sample_rate_hz)
        power: Tensor = magnitudes[:, :, low:].square().mean(dim=(1, 2))
        return power.sqrt().clamp(min=self.spec.level_floor * float(floor))

    def _spectrogram(self, relative: Tensor) -> Tensor:
        frames: Tensor = relative.clone()
        frames[:, :, : first_bin(self.spec.cutoff_hz, self.spec.n_fft, self.spec.sample_rate_hz)] = 0.0
        return frames - frames.mean(dim=1, keepdim=True)

    def _log_mel(self, relative: Tensor) -> Tensor:
        power = relative.square() @ self.mel.T
        return 10.0 / math.log(10.0) * torch.log(power + 10.0 ** (self.spec.floor_db / 10.0))

    def _spectrum(self, signals: Tensor, level: Tensor) -> Tensor:
        n = signals.shape[1]
        bins: Tensor = torch.fft.rfft(signals).abs()[:, : n // 2] / (math.sqrt(n) * level[:, None])
        bins[:, : first_bin(self.spec.cutoff_hz, n, self.spec.sample_rate_hz)] = 0.0
        return bins
