"""The network of a bundle, restored for training: the same function, with statistics that fit the sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edged.assembly import open_bundle
from edged.embed.bundle import Bundle
from edged.errors import BundleError
from edged.features.keyword import FRAMES, KeywordSpec
from trainer.export import relative_error
from trainer.keyword_bundle import Decision, UnitRows, write_keyword_bundle
from trainer.models.speech_trunk import SpeechTrunk
from trainer.warm_start import trunk_of_bundle


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return torch.rand((6, 80, 64), generator=torch.Generator().manual_seed(1)) * 3.0 - 2.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, frames: Tensor) -> Bundle:
    """A trunk whose normalisations are far from their initial state."""
    torch.manual_seed(5)
    network = SpeechTrunk(width=16)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.uniform_(module.bias, -1.0, 1.0)
    network.train()(frames)
    background = np.eye(128, dtype=np.float32)
    out: Path = tmp_path_factory.mktemp("bundle") / "trunk"
    return write_keyword_bundle(
        out, network, KeywordSpec(), background, bundle_id="t", version="1", decision=Decision(), training={}, card=""
    )


def test_computes_what_the_bundle_computes(bundle: Bundle, frames: Tensor) -> None:
    network = trunk_of_bundle(bundle, frames)
    assert bundle.model_path is not None
    other = torch.rand((3, bundle.manifest.model.inputs[0].shape[0], 64)) - 1.0  # type: ignore[union-attr]
    assert relative_error(UnitRows(network), bundle.model_path, {FRAMES: other}) < 1e-5


def test_starts_training_with_the_statistics_of_the_sound(bundle: Bundle, frames: Tensor) -> None:
    network = trunk_of_bundle(bundle, frames)
    evaluated = network.eval()(frames)
    trained = network.train()(frames)  # batch statistics instead of stored ones
    assert torch.allclose(evaluated, trained, atol=1e-3 * float(evaluated.detach().abs().max()))


def test_every_weight_can_be_trained(bundle: Bundle, frames: Tensor) -> None:
    network = trunk_of_bundle(bundle, frames).train()
    network(frames).square().sum().backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in network.parameters())


def test_refuses_another_network(frames: Tensor) -> None:
    with pytest.raises(BundleError, match="no speech trunk"):
        trunk_of_bundle(open_bundle("anomaly"), frames)
