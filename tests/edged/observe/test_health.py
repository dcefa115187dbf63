import numpy as np
import pytest

from edged.features.health import input_facts, input_verdict
from edged.flow import SAMPLE_RATE_HZ, Block, InputRange
from edged.observe.health import InputHealth

RNG = np.random.default_rng(0)


def sound(seconds):
    """Noise with colour, as everything but hiss has it."""
    noise = np.convolve(RNG.standard_normal(seconds * SAMPLE_RATE_HZ), np.ones(4) / 2, "same")
    return (0.05 * noise).astype(np.float32)


def torn(seconds):
    """A dropout of 20 ms in every other second."""
    signal = sound(seconds)
    for second in range(0, seconds, 2):
        signal[second * SAMPLE_RATE_HZ + 3000 :][:320] = 0.0
    return signal


ENROLLED = InputRange.of([input_facts(sound(10))])
SICK = {
    "flat": lambda s: np.zeros(s * SAMPLE_RATE_HZ, np.float32),
    "dc": lambda s: sound(s) + np.float32(0.4),
    "clipping": lambda s: np.clip(30 * sound(s), -1, 1),
    "deaf": lambda s: sound(s) / 1000,
    "hiss": lambda s: (0.3 * RNG.standard_normal(s * SAMPLE_RATE_HZ)).astype(np.float32),
}


def run(signal, block_samples=777, hold_s=3, lost_every=0):
    health, changes = InputHealth(lambda facts: input_verdict(facts, ENROLLED), hold_s), []
    for number, start in enumerate(range(0, len(signal), block_samples)):
        lost = 5 if lost_every and number and number % lost_every == 0 else 0
        changes += health.push(Block(start, signal[start : start + block_samples], lost_before=lost))
    return health, changes


@pytest.mark.parametrize("state", SICK)
def test_a_sick_input_is_told_after_the_hold_and_so_is_its_recovery(state):
    signal = np.concatenate([sound(5), SICK[state](10), sound(10)]).astype(np.float32)
    health, changes = run(signal)
    assert [(c.state, c.sample // SAMPLE_RATE_HZ) for c in changes] == [(state, 8), ("ok", 18)]
    assert health.level_dbfs == pytest.approx(-26, abs=1)


@pytest.mark.parametrize("state", SICK)
def test_a_short_pause_is_no_sickness(state):
    _, changes = run(np.concatenate([sound(5), SICK[state](2), sound(5)]).astype(np.float32))
    assert changes == []


def test_a_torn_input_is_told_though_it_is_whole_in_between():
    _, changes = run(np.concatenate([sound(5), torn(20), sound(20)]), hold_s=5)
    assert [(c.state, c.sample // SAMPLE_RATE_HZ) for c in changes] == [("dropouts", 10), ("ok", 30)]


def test_one_dropout_is_not_worth_telling():
    assert run(np.concatenate([sound(9), torn(2), sound(20)]))[1] == []


def test_gap_after_gap_is_told_and_one_gap_is_not():
    assert [c.state for c in run(sound(20), 8000, hold_s=5, lost_every=4)[1]] == ["dropouts"]
    assert run(sound(20), 8000, hold_s=5, lost_every=30)[1] == []


def test_a_constant_that_is_not_zero_is_flat_too():
    _, changes = run(np.full(5 * SAMPLE_RATE_HZ, 0.3, np.float32))
    assert [c.state for c in changes] == ["flat"]
