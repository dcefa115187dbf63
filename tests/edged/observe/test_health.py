import numpy as np
import pytest

from edged.flow import SAMPLE_RATE_HZ, Block
from edged.observe.health import HealthSettings, InputHealth

RNG = np.random.default_rng(0)


def sound(seconds):
    return (0.05 * RNG.standard_normal(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


SICK = {
    "flat": lambda s: np.zeros(s * SAMPLE_RATE_HZ, np.float32),
    "dc": lambda s: sound(s) + np.float32(0.4),
    "clipping": lambda s: np.clip(30 * sound(s), -1, 1),
}


def run(signal, block_samples=777):
    health, changes = InputHealth(HealthSettings(hold_s=3)), []
    for start in range(0, len(signal), block_samples):
        changes += health.push(Block(start, signal[start : start + block_samples]))
    return health, changes


@pytest.mark.parametrize("state", SICK)
def test_a_sick_input_is_told_after_the_hold_and_so_is_its_recovery(state):
    signal = np.concatenate([sound(5), SICK[state](10), sound(10)]).astype(np.float32)
    health, changes = run(signal)
    assert [(c.state, c.sample // SAMPLE_RATE_HZ) for c in changes] == [(state, 8), ("ok", 18)]
    assert health.level_dbfs == pytest.approx(-26, abs=1)


def test_a_short_pause_is_no_sickness():
    _, changes = run(np.concatenate([sound(5), SICK["flat"](2), sound(5)]))
    assert changes == []


def test_a_constant_that_is_not_zero_is_flat_too():
    _, changes = run(np.full(5 * SAMPLE_RATE_HZ, 0.3, np.float32))
    assert [c.state for c in changes] == ["flat"]
