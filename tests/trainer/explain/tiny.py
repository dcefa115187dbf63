"""A tiny bundle whose network is known, and clips with and without a tone."""

from pathlib import Path

import numpy as np
import soundfile as sf
import torch
from torch import Tensor, nn

from edged.embed.bundle import Bundle
from edged.features.anomaly import AnomalySpec, NetworkInput
from trainer.anomaly_bundle import embedding_representation, statistics_representations, write_anomaly_bundle

TONE_HZ = 2000.0
RATE_HZ = 16_000


class BandLevels(nn.Module):
    """Each band's mean magnitude over time: (batch, n_frames, n_bins) -> (batch, n_bins)."""

    def forward(self, image: Tensor) -> Tensor:
        """The mean of the absolute values keeps a spectrogram without its temporal mean from vanishing."""
        return torch.mean(torch.abs(image), dim=1)


def tiny_spec(image: NetworkInput | None = "log_mel") -> AnomalySpec:
    return AnomalySpec(
        segment_samples=16_000,
        hop_samples=8192,
        n_mels=32,
        inputs=(image,) if image else (),
        statistics={"quiet": ("p5",), "change": ("change",)},
    )


def tiny_bundle(directory: Path, image: NetworkInput | None = "log_mel") -> Bundle:
    """Statistics and, with an image, a network of `BandLevels`."""
    spec = tiny_spec(image)
    representations = statistics_representations(spec)
    if image is None:
        return write_anomaly_bundle(directory, spec, representations, version="1")
    embedding = embedding_representation(spec.shape(image)[1], 2.0, "density")
    return write_anomaly_bundle(directory, spec, (*representations, embedding), version="1", network=BandLevels())


def sound(seed: int, *, seconds: float = 1.0, tone: tuple[float, float] | None = None) -> np.ndarray:
    """Noise, with a tone of 2 kHz between two times in seconds."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    samples = 0.1 * rng.standard_normal(len(time_s))
    if tone:
        samples += 0.1 * np.sin(2 * np.pi * TONE_HZ * time_s) * ((time_s >= tone[0]) & (time_s < tone[1]))
    return samples.astype(np.float32)


def write_sound(path: Path, samples: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, samples, RATE_HZ)
    return path
