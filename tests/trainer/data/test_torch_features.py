"""Training sees what the daemon sees."""

import numpy as np
import pytest
import torch

from edged.features.anomaly import AnomalySpec, segment_features
from trainer.data.torch_features import TorchAnomalyFeatures


@pytest.mark.parametrize("normalise_level", [True, False])
def test_torch_features_equal_numpy_features(normalise_level: bool) -> None:
    spec = AnomalySpec(
        segment_samples=32_000,
        hop_samples=4_096,
        inputs=("spectrogram", "spectrum", "log_mel"),
        normalise_level=normalise_level,
    )
    signals = 0.1 * np.random.default_rng(0).standard_normal((3, 32_000)).astype(np.float32)
    signals[2] = 0.0
    batched = TorchAnomalyFeatures(spec)(torch.from_numpy(signals))
    for row, signal in enumerate(signals):
        expected = segment_features(signal, spec)
        for name, got in zip(spec.inputs, batched, strict=True):
            np.testing.assert_allclose(got[row].numpy(), expected[name], rtol=1e-4, atol=2e-4)
