"""Who exchanges with whom, and the classes of eqs. 60 to 62."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.augment.exchange import draw_exchanged, draw_partners, tripled

CPU = torch.device("cpu")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@given(st.integers(2, 40), st.integers(0, 1000))
def test_everyone_gives_and_gets_once_and_nobody_to_himself(n, seed):
    partners = draw_partners(n, CPU, seeded(seed))
    assert sorted(partners.tolist()) == list(range(n))
    assert (partners != torch.arange(n)).all()


def test_every_partner_is_as_likely():
    drawn = torch.stack([draw_partners(4, CPU, seeded(seed)) for seed in range(1200)])
    for sample in range(4):
        counts = torch.bincount(drawn[:, sample], minlength=4)
        assert counts[sample] == 0
        assert counts.sum() - counts.max() > 700  # each of the three about 400 times


def test_a_sample_alone_is_not_exchanged():
    """Exchanged with itself it would be an unchanged sample with the label of a changed one."""
    partners = draw_partners(1, CPU)
    assert not draw_exchanged(partners, 1.0).any()
    assert draw_partners(0, CPU).shape == (0,)


def test_the_share_exchanged_is_the_probability():
    partners = draw_partners(4000, CPU, seeded())
    assert 0.47 < draw_exchanged(partners, 0.5, seeded(1)).float().mean() < 0.53
    assert draw_exchanged(partners, 1.0, seeded()).all()
    assert not draw_exchanged(partners, 0.0, seeded()).any()


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 1000))
def test_labels_are_those_of_the_equations(n, n_classes, seed):
    labels, partner_labels = torch.rand(2, n, n_classes, generator=seeded(seed)).softmax(dim=2)
    exchanged = torch.rand(n, generator=seeded(seed)) < 0.5
    result = tripled(labels, exchanged, partner_labels).tolist()
    for row, own, other, is_exchanged in zip(
        result, labels.tolist(), partner_labels.tolist(), exchanged.tolist(), strict=True
    ):
        nothing = [0.0] * n_classes
        expected = nothing + [0.5 * x for x in own] + [0.5 * x for x in other] if is_exchanged else own + 2 * nothing
        torch.testing.assert_close(row, expected)
    torch.testing.assert_close(torch.tensor(result).sum(dim=1), torch.ones(n))
