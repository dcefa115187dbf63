"""The heads: who gets which labels, and what the two losses of self-supervision see."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from trainer.anomaly_objective import OneLoss, PerBranchLoss, SelfSupervision, equal_level
from trainer.losses.adacos import AdaCos


class Branches(nn.Module):
    """Two branches whose embeddings are their inputs' means over time, and their inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.n_images = 0

    def image_embedding(self, image: Tensor) -> Tensor:
        self.n_images += 1
        return image.mean(dim=1)

    def branches(self, image: Tensor, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        return self.image_embedding(image), spectrum

    def combine(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.cat([first, second], dim=1)

    def forward(self, image: Tensor, spectrum: Tensor) -> Tensor:
        return self.combine(*self.branches(image, spectrum))


class Recorder(nn.Module):
    """A loss that keeps what it was given."""

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        self.embeddings, self.labels = embeddings, labels
        return embeddings.sum() * 0.0 + 1.0


def batch(n: int = 64) -> tuple[Sequence[Tensor], Tensor]:
    torch.manual_seed(0)
    return (torch.randn(n, 6, 4), torch.randn(n, 3)), torch.eye(4)[torch.arange(n) % 4]


@pytest.mark.parametrize(("statex", "featex", "factor"), [(True, False, 3), (False, True, 3), (True, True, 9)])
def test_classes_are_multiplied(statex: bool, featex: bool, factor: int) -> None:
    features, labels = batch()
    regular, ssl = Recorder(), Recorder()
    losses = SelfSupervision(regular, ssl, statex=statex, featex=featex)(Branches(), features, labels)
    assert ssl.labels.shape == (64, 4 * factor)
    torch.testing.assert_close(ssl.labels.sum(dim=1), torch.ones(64))
    assert float(losses["loss"]) == 2.0
    assert set(losses) == {"regular", "ssl", "loss"}


def test_the_regular_loss_sees_samples_as_they_are() -> None:
    features, labels = batch()
    regular, network = Recorder(), Branches()
    SelfSupervision(regular, Recorder(), statex=True, featex=True)(network, features, labels)
    torch.testing.assert_close(regular.embeddings, network(*features))
    torch.testing.assert_close(regular.labels, labels)


def test_unchanged_samples_keep_their_embedding_and_first_classes() -> None:
    features, labels = batch()
    ssl, network = Recorder(), Branches()
    SelfSupervision(None, ssl, statex=True, featex=True)(network, features, labels)
    unchanged = ssl.labels[:, :4].sum(dim=1) == 1.0
    assert 0.1 < float(unchanged.float().mean()) < 0.45  # a quarter: neither exchange
    torch.testing.assert_close(ssl.embeddings[unchanged], network(*features)[unchanged])
    torch.testing.assert_close(ssl.labels[unchanged, :4], labels[unchanged])


def test_features_are_exchanged_whole() -> None:
    features, labels = batch()
    ssl, network = Recorder(), Branches()
    SelfSupervision(None, ssl, statex=False, featex=True)(network, features, labels)
    spectra = ssl.embeddings[:, 4:]
    owner = torch.cdist(spectra, features[1]).argmin(dim=1)
    exchanged = ssl.labels[:, :4].sum(dim=1) == 0.0
    assert bool((owner[exchanged] != torch.arange(64)[exchanged]).all())
    torch.testing.assert_close(ssl.labels[exchanged, 8:], 0.5 * labels[owner[exchanged]])


def test_branches_trained_apart_do_not_see_each_other() -> None:
    (image, spectrum), labels = batch()
    image.requires_grad_(True)
    spectrum.requires_grad_(True)
    head = PerBranchLoss(AdaCos(4, 4), AdaCos(4, 3))
    losses = head(Branches(), (image, spectrum), labels)
    (alone,) = torch.autograd.grad(losses["image"], image, retain_graph=True)
    (joint,) = torch.autograd.grad(losses["loss"], image, retain_graph=True)
    torch.testing.assert_close(alone, joint)
    assert torch.autograd.grad(losses["image"], spectrum, allow_unused=True) == (None,)


def test_one_loss_is_the_loss_of_the_embedding() -> None:
    features, labels = batch()
    recorder, network = Recorder(), Branches()
    OneLoss(recorder)(network, features, labels)
    torch.testing.assert_close(recorder.embeddings, network(*features))


def test_equal_level_keeps_silence() -> None:
    signals = torch.stack([torch.full((10,), 0.25), torch.zeros(10)])
    levelled = equal_level(signals)
    torch.testing.assert_close(levelled[0], torch.ones(10))
    assert not bool(levelled[1].any())
