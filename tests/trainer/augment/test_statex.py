"""StatEx against eq. 59 written as loops; silence, labels, gradients and devices."""

import math
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.augment.statex import exchange_statistics, exchange_statistics_original, with_statistics_of

AXES = ["temporal", "frequency"]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=6, seed=0):
    spread = torch.arange(1.0, n + 1.0)[:, None, None]
    return torch.randn(n, 5, 7, generator=seeded(seed)) * spread - 10.0 * spread


def by_hand(image, partner, axis):
    """Eq. 59, row by row (temporal) or column by column (frequency)."""
    image, partner = image.double(), partner.double()
    if axis == "frequency":
        return by_hand(image.T, partner.T, "temporal").T
    rows = []
    for one, other in zip(image.tolist(), partner.tolist(), strict=True):
        mean, new_mean = statistics.fmean(one), statistics.fmean(other)
        gain = statistics.pstdev(other) / statistics.pstdev(one)
        rows.append([(x - mean) * gain + new_mean for x in one])
    return torch.tensor(rows)


@pytest.mark.parametrize("axis", AXES)
def test_the_variant_is_eq_59_with_the_labels_of_eqs_60_and_61(axis):
    before = images()
    after, labels, exchanged = exchange_statistics(before, torch.eye(6), axis=axis, generator=seeded(2))
    assert labels.shape == (6, 18)
    assert 0 < exchanged.sum() < 6
    for i in range(6):
        if exchanged[i]:
            partner = int(labels[i, 12:].argmax())
            assert partner != i
            expected = by_hand(before[i], before[partner], axis).float()
            torch.testing.assert_close(after[i], expected, rtol=1e-4, atol=1e-4)
            assert labels[i, 6 + i] == labels[i, 12 + partner] == 0.5
            assert labels[i].sum() == 1.0
        else:
            assert torch.equal(after[i], before[i])
            assert labels[i].argmax() == i
            assert labels[i].max() == 1.0


def test_temporal_statex_gives_each_time_frame_its_partners_statistics():
    """Definition 5.4 names them crosswise: temporal StatEx has the statistics over the frequency axis."""
    one, other = images()[:1], images()[1:2]
    temporal, frequency = with_statistics_of(one, other, "temporal"), with_statistics_of(one, other, "frequency")
    torch.testing.assert_close(temporal.mean(dim=2), other.mean(dim=2))
    torch.testing.assert_close(temporal.std(dim=2), other.std(dim=2))
    torch.testing.assert_close(frequency.mean(dim=1), other.mean(dim=1))
    torch.testing.assert_close(frequency.std(dim=1), other.std(dim=1))
    assert not torch.allclose(temporal.mean(dim=1), other.mean(dim=1), atol=0.1)


@pytest.mark.parametrize("axis", AXES)
def test_the_original_doubles_the_batch_and_pairs_the_classes(axis):
    before = images()
    both, labels = exchange_statistics_original(before, torch.eye(6), axis=axis, generator=seeded(1))
    assert labels.shape == (12, 6 + 36)
    assert torch.equal(both[:6], before)
    assert torch.equal(labels[:6, :6], torch.eye(6))
    assert not labels[:6, 6:].any()
    assert not labels[6:, :6].any()
    for i in range(6):
        own, partner = divmod(int(labels[6 + i, 6:].argmax()), 6)
        assert own == i
        assert partner != i
        torch.testing.assert_close(both[6 + i], by_hand(before[i], before[partner], axis).float(), rtol=1e-4, atol=1e-4)


def test_soft_labels_stay_shares():
    labels = torch.rand(6, 4, generator=seeded()).softmax(dim=1)
    _, variant, _ = exchange_statistics(images(), labels, axis="temporal", generator=seeded())
    _, original = exchange_statistics_original(images(), labels, axis="temporal", generator=seeded())
    torch.testing.assert_close(variant.sum(dim=1), torch.ones(6))
    torch.testing.assert_close(original.sum(dim=1), torch.ones(12))


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("value", [0.0, -49.7, 1e-30])
def test_silence_takes_its_partners_mean(axis, value):
    """Rounding made a constant of -49.7 dB deviate by 4e-6, which was then blown up to a signal."""
    silence, other = torch.full((1, 128, 131), value), 3.0 * torch.randn(1, 128, 131, generator=seeded())
    over = {"temporal": 2, "frequency": 1}[axis]
    expected = other.mean(dim=over, keepdim=True).expand_as(other)
    torch.testing.assert_close(with_statistics_of(silence, other, axis), expected, rtol=1e-5, atol=1e-5)
    of_silence = with_statistics_of(other, silence, axis)
    torch.testing.assert_close(of_silence, silence, rtol=0, atol=1e-4)


@given(st.lists(st.sampled_from([0.0, -50.0, 1e-20, 1e-7, 3.0, 1e4]), min_size=24, max_size=24), st.sampled_from(AXES))
def test_nothing_becomes_infinite(values, axis):
    batch = torch.tensor(values).view(2, 3, 4).requires_grad_()
    after, _, _ = exchange_statistics(batch, torch.eye(2), axis=axis, probability=1.0)
    assert torch.isfinite(after).all()
    after.square().sum().backward()
    assert torch.isfinite(batch.grad).all()


def test_gradients_reach_the_sample_and_its_partner():
    batch = images(2).requires_grad_()
    after, _, exchanged = exchange_statistics(batch, torch.eye(2), axis="temporal", probability=1.0)
    assert exchanged.all()
    after[0].square().sum().backward()
    assert batch.grad.abs().amax(dim=(1, 2)).min() > 0


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_probability_is_the_share_exchanged(probability):
    _, _, exchanged = exchange_statistics(images(), torch.eye(6), axis="temporal", probability=probability)
    assert exchanged.float().mean() == probability


def test_a_generator_makes_it_repeatable():
    first, second = (exchange_statistics(images(), torch.eye(6), axis="temporal", generator=seeded(4)) for _ in "ab")
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("generator", [None, seeded()])
def test_it_runs_where_the_images_are(generator):
    """The meta device stands for an accelerator: it refuses what mixes devices."""
    batch, labels = torch.zeros(4, 5, 7, device="meta"), torch.zeros(4, 3, device="meta")
    for results in (
        exchange_statistics(batch, labels, axis="temporal", generator=generator),
        exchange_statistics_original(batch, labels, axis="frequency", generator=generator),
    ):
        assert all(result.is_meta for result in results)


def test_frequency_statex_is_void_once_the_temporal_mean_is_removed():
    """Why 5.7.1 uses temporal StatEx alone: of the statistics over time only the deviation is left to exchange."""
    removed = images() - images().mean(dim=1, keepdim=True)
    after, _, _ = exchange_statistics(removed, torch.eye(6), axis="frequency", probability=1.0)
    assert after.mean(dim=1).abs().max() < 1e-4
    assert math.isclose(float(removed.mean(dim=1).abs().max()), 0.0, abs_tol=1e-4)
