"""Tails of cluster peaks against scipy and simulation."""

import numpy as np
import pytest
from scipy import stats

from edged.decide.tail import HeardTime, fit_tail, gamma_quantile


def heard(hours: float, ceiling: float = np.inf, left_out: int = 0) -> HeardTime:
    return HeardTime(np.array([hours]), np.array([ceiling]), left_out)


@pytest.mark.parametrize("shape", [0.5, 1.5, 20.0, 400.0])
@pytest.mark.parametrize("probability", [0.01, 0.5, 0.95])
def test_gamma_quantiles_agree_with_scipy(shape: float, probability: float) -> None:
    assert gamma_quantile(shape, probability) == pytest.approx(stats.gamma.ppf(probability, shape), rel=1e-6)


@pytest.mark.parametrize("shape", [-0.15, 0.0, 0.25])
def test_many_peaks_reveal_the_rate_far_out(shape: float) -> None:
    peaks = 3.0 + stats.genpareto(shape, scale=0.5).rvs(400, random_state=1)
    tail = fit_tail(peaks, 3.0, heard(100.0))
    level = 3.0 + stats.genpareto(shape, scale=0.5).isf(0.001)
    low, middle, high = tail.rate_quantiles(level, (0.05, 0.5, 0.95))
    assert low < 0.004 < high
    assert middle == pytest.approx(0.004, rel=0.6)
    assert tail.rate_quantiles(3.0, (0.5,))[0] == pytest.approx(4.0, rel=0.01)


def test_confidence_and_quantiles_say_the_same() -> None:
    tail = fit_tail(np.linspace(3.1, 5.0, 30), 3.0, heard(24.0))
    (rate,) = tail.rate_quantiles(6.0, (0.9,))
    assert tail.confidence_within(6.0, rate) == pytest.approx(0.9, abs=0.01)


def test_the_rate_falls_with_the_level() -> None:
    tail = fit_tail(np.array([3.2, 3.4, 4.0]), 3.0, heard(24.0))
    highs = [tail.rate_quantiles(level, (0.95,))[0] for level in (3.0, 4.0, 6.0, 10.0)]
    assert highs == sorted(highs, reverse=True)
    assert highs[-1] < highs[0] / 3


def test_peaks_left_out_above_a_ceiling_do_not_lighten_the_tail() -> None:
    """Without the ceiling, a history that alarms were cut from lowers the threshold again and again."""
    peaks = 1.0 + np.random.default_rng(3).exponential(1.0, 2000)
    truth = 2000 / 100.0 * np.exp(-6.0)
    seen = peaks[peaks < 3.0]
    left_out = 2000 - len(seen)
    with_ceiling = fit_tail(seen, 1.0, heard(100.0, 3.0, left_out)).rate_quantiles(7.0, (0.05, 0.95))
    without = fit_tail(seen, 1.0, heard(100.0)).rate_quantiles(7.0, (0.95,))
    assert with_ceiling[0] < truth < with_ceiling[1]
    assert without[0] < truth / 3


def test_bouts_widen_the_band() -> None:
    peaks = np.linspace(3.1, 5.0, 60)
    widths = []
    for dispersion in (1.0, 4.0):
        low, high = fit_tail(peaks, 3.0, heard(24.0), dispersion).rate_quantiles(3.0, (0.05, 0.95))
        widths.append(np.log(high / low))
    assert widths[1] == pytest.approx(2.0 * widths[0], rel=0.1)


def test_no_peaks_bound_the_rate_from_above_only() -> None:
    low, high = fit_tail(np.zeros(0), 3.0, heard(24.0)).rate_quantiles(3.0, (0.05, 0.95))
    assert low < 0.001
    assert 1.0 / 24.0 < high < 3.0 / 24.0


def test_many_true_alarms_above_a_ceiling_hardly_change_the_tail_and_few_refute_a_heavy_one() -> None:
    peaks = 1.0 + np.random.default_rng(4).exponential(1.0, 60)
    seen = peaks[peaks < 3.5]
    highs = {n: fit_tail(seen, 1.0, heard(48.0, 3.5, n)).rate_quantiles(6.0, (0.95,))[0] for n in (4, 400, 4000)}
    assert highs[4] < highs[400]
    assert highs[400] == pytest.approx(highs[4000], rel=0.05)
