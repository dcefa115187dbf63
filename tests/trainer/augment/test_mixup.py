"""Mixup keeps labels and signals in step."""

import torch

from trainer.augment.mixup import mixup


def test_signals_and_labels_share_their_coefficients() -> None:
    signals = torch.eye(8)
    mixed_signals, mixed_labels = mixup(signals, torch.eye(8), generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(mixed_signals, mixed_labels)
    torch.testing.assert_close(mixed_labels.sum(dim=1), torch.ones(8))
    assert (mixed_labels.diagonal() < 1).any()


def test_probability_zero_changes_nothing() -> None:
    signals = torch.randn(4, 10)
    mixed_signals, mixed_labels = mixup(signals, torch.eye(4), probability=0.0)
    assert torch.equal(mixed_signals, signals)
    assert torch.equal(mixed_labels, torch.eye(4))


def test_a_generator_makes_it_repeatable() -> None:
    signals = torch.randn(4, 10)
    first = mixup(signals, torch.eye(4), generator=torch.Generator().manual_seed(1))
    second = mixup(signals, torch.eye(4), generator=torch.Generator().manual_seed(1))
    assert torch.equal(first[0], second[0])
