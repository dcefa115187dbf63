"""FeatEx: which rows go where, and the nine times as many classes after StatEx."""

import pytest
import torch

from trainer.augment.featex import exchange_features
from trainer.augment.statex import exchange_statistics


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


FIRST, SECOND = torch.randn(6, 3, generator=seeded()), torch.randn(6, 4, generator=seeded(1))


def test_the_second_branch_comes_from_the_partner():
    first, second, labels = exchange_features(FIRST, SECOND, torch.eye(6), generator=seeded(2))
    assert torch.equal(first, FIRST)
    assert labels.shape == (6, 18)
    is_exchanged = labels[:, :6].sum(dim=1) == 0
    assert 0 < is_exchanged.sum() < 6
    for i in range(6):
        source = int(labels[i, 12:].argmax()) if is_exchanged[i] else i
        assert torch.equal(second[i], SECOND[source])
        assert (source != i) == is_exchanged[i]
        assert labels[i, 6 + i if is_exchanged[i] else i] == (0.5 if is_exchanged[i] else 1.0)


def test_after_statex_nine_times_as_many_classes_result():
    """5.7.2: class i of FeatEx's part a and StatEx's part b is column 3N a + N b + i; every part is used."""
    n = 40
    images = torch.randn(n, 5, 7, generator=seeded())
    _, statex, by_statex = exchange_statistics(images, torch.eye(n), axis="temporal", generator=seeded(3))
    first = torch.arange(float(n))[:, None]
    _, second, labels = exchange_features(first, first, statex, generator=seeded(4))
    assert labels.shape == (n, 9 * n)
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(n))
    for i in range(n):
        partner = int(second[i])
        expected = torch.zeros(9 * n)
        if partner == i:
            expected[: 3 * n] = statex[i]
        else:
            expected[3 * n : 6 * n], expected[6 * n :] = 0.5 * statex[i], 0.5 * statex[partner]
        assert torch.equal(labels[i], expected)
    assert (labels.view(n, 9, n).sum(dim=(0, 2)) > 0).all()
    assert 0 < by_statex.sum() < n


def test_gradients_reach_both_branches_of_both_samples():
    first, second = FIRST.clone().requires_grad_(), SECOND.clone().requires_grad_()
    one, other, _ = exchange_features(first, second, torch.eye(6), probability=1.0, generator=seeded())
    (one.square().sum() + other.square().sum()).backward()
    torch.testing.assert_close(first.grad, 2.0 * FIRST)
    torch.testing.assert_close(second.grad, 2.0 * SECOND)  # every row was given to exactly one sample


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_probability_is_the_share_exchanged(probability):
    _, second, labels = exchange_features(FIRST, SECOND, torch.eye(6), probability=probability)
    assert bool((second == SECOND).all()) == (probability == 0.0)
    assert labels[:, 6:].sum() == 6.0 * probability


@pytest.mark.parametrize("generator", [None, seeded()])
def test_it_runs_where_the_embeddings_are(generator):
    """The meta device stands for an accelerator: it refuses what mixes devices."""
    inputs = (torch.zeros(4, n, device="meta") for n in (2, 3, 5))
    assert all(result.is_meta for result in exchange_features(*inputs, generator=generator))
