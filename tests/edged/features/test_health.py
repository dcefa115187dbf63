"""What is wrong with an input, and what is not."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from edged.features.anomaly import AnomalyFeatures, AnomalySpec
from edged.features.health import InputLimits, input_facts, input_verdict
from edged.flow import Block, InputFacts, InputRange
from tests.fakes.sounds import RATE_HZ, machine

RNG = np.random.default_rng(3)
SOUND = machine(10, 1)
ENROLLED = InputRange.of([input_facts(machine(10, seed)) for seed in range(2, 6)])


def noise(rms):
    return (rms * RNG.standard_normal(len(SOUND))).astype(np.float32)


def torn(every_s, piece_s):
    """The machine with pieces of digital silence."""
    sound = SOUND.copy()
    for at in np.arange(0.3, 9.9, every_s):
        sound[round(at * RATE_HZ) : round((at + piece_s) * RATE_HZ)] = 0.0
    return sound


def stuck(length, times):
    """The machine, but a driver delivers one buffer again and again."""
    sound = SOUND.copy()
    at = 5 * RATE_HZ + 13
    sound[at : at + length * times] = np.tile(sound[at - length : at], times)
    return sound


SICK = {
    "flat": np.zeros_like(SOUND),
    "flat at a level": np.full_like(SOUND, 0.3),
    "flat for the half": np.concatenate([SOUND[: 5 * RATE_HZ], np.zeros(5 * RATE_HZ, np.float32)]),
    "dc": SOUND + np.float32(0.4),
    "clipping": np.clip(40 * SOUND, -1, 1),
    "clipping of a hum": np.clip(100 * np.sin(0.02 * np.arange(len(SOUND))), -1, 1).astype(np.float32),
    "deaf": noise(1e-5),
    "deaf for a second": np.concatenate([SOUND[: 5 * RATE_HZ], noise(1e-5)[: 1 * RATE_HZ], SOUND[6 * RATE_HZ :]]),
    "dc for a second": SOUND + 0.4 * ((np.arange(len(SOUND)) // RATE_HZ) == 4).astype(np.float32),
    "hiss for a second": SOUND + noise(0.25) * ((np.arange(len(SOUND)) // RATE_HZ) == 4),
    "dropouts": torn(1.0, 0.02),
    "dropouts of one long pause": torn(20.0, 1.0),
    "dropouts by a buffer of 20 ms": stuck(320, 40),
    "dropouts by a buffer of 85 ms": stuck(1365, 10),
    "dropouts by buffers that come twice": stuck(4000, 1),
    "hiss": noise(0.25),
    "hiss of a dead capsule": noise(0.0004),
}


@pytest.mark.parametrize("name", SICK)
def test_a_sick_input_is_told(name):
    verdict = input_verdict(input_facts(SICK[name]), ENROLLED)
    assert (verdict.state, verdict.is_ok) == (name.split()[0], False), verdict.reason


T = np.arange(len(SOUND)) / RATE_HZ
HEALTHY = {
    "other sound of the machine": machine(10, 7),
    "a fault": machine(10, 8, fault=True),
    "20 dB louder": np.clip(10 * SOUND, -1, 1),
    "30 dB quieter": SOUND / 31.6,
    "a new tone": SOUND + (0.5 * np.sin(2 * np.pi * 1234.5 * T)).astype(np.float32),
    "a tone alone": (0.5 * np.sin(2 * np.pi * 1234.5 * T)).astype(np.float32),
    "rumble far above": np.diff(np.convolve(noise(0.1), np.ones(200), "same"), prepend=0.0),
    "a leak, as loud as the machine": SOUND + noise(0.06),
    "knocks, white and far above": SOUND + noise(0.25) * (np.arange(len(SOUND)) % RATE_HZ < 3000),
    "one click": np.where(np.arange(len(SOUND)) == 5000, np.float32(1), SOUND),
    "16 bits of little": np.round(SOUND * 1500) / 32768,
}


@pytest.mark.parametrize("name", HEALTHY)
def test_whatever_a_machine_may_sound_like_is_healthy(name):
    verdict = input_verdict(input_facts(HEALTHY[name].astype(np.float32)), ENROLLED)
    assert verdict.is_ok, verdict


def test_without_enrolled_levels_nothing_is_deaf_or_hissing():
    assert input_verdict(input_facts(SICK["deaf"]), None).is_ok
    assert input_verdict(input_facts(SICK["hiss"]), None).is_ok
    assert input_verdict(input_facts(SICK["flat"]), None).state == "flat"


def test_what_was_enrolled_is_not_held_against_the_input():
    """A microphone with a noise gate has pauses of digital silence; an air valve is as white as hiss."""
    gated = InputRange.of([input_facts(SICK["dropouts"])])
    assert input_verdict(input_facts(torn(0.9, 0.02)), gated).is_ok
    white = InputRange.of([input_facts(noise(0.02))])
    assert input_verdict(input_facts(noise(0.25)), white).is_ok


def test_checks_against_the_enrolled_level_can_be_switched_off():
    off = InputLimits(deaf_below_db=None, hiss_beyond_db=None)
    assert input_verdict(input_facts(SICK["deaf"]), ENROLLED, off).is_ok
    assert input_verdict(input_facts(SICK["hiss"]), ENROLLED, off).is_ok


def test_digital_silence_is_dead_and_not_repeated():
    """A word with an offset between two pauses of zeros was torn: the zeros lay off the mean, and were all alike."""
    facts = input_facts(np.concatenate([np.zeros(8000, np.float32), noise(0.05) + 0.01, np.zeros(8000, np.float32)]))
    assert facts.dead_share > 0.0
    assert facts.repeated_share == 0.0


def test_facts_are_what_a_slow_count_gives():
    sound = torn(1.7, 0.03)
    sound[1000:1100] = 1.0
    assert input_facts(sound).repeated_share == 0.0
    facts = input_facts(sound)
    pieces = [sound[i : i + 80] for i in range(0, len(sound) - 79, 80)]
    assert facts.dead_share == np.mean([np.ptp(p) <= 2e-5 and abs(p[0]) < 0.99 for p in pieces])
    assert facts.clipped_share == 100 / len(sound)
    assert facts.level_dbfs == pytest.approx(10 * np.log10(np.mean(sound.reshape(160, 1000).var(axis=1))), abs=1e-3)
    coefficients = [np.corrcoef(sound[k:], sound[:-k])[0, 1] for k in range(1, 9)]
    assert facts.colour == pytest.approx(np.max(np.abs(coefficients)), abs=0.02)
    third = sound[2000:3000].astype(float)
    assert facts.levels_dbfs[2] == pytest.approx(20 * np.log10(third.std()), abs=1e-3)
    assert facts.means[2] == pytest.approx(third.mean(), abs=1e-6)
    assert len(facts.levels_dbfs) == len(facts.means) == len(facts.colours) == 160


@pytest.mark.parametrize("n_samples", [1, 2, 79, 80, 319, 321])
def test_any_length_can_be_measured(n_samples):
    input_facts(SOUND[:n_samples])


def test_ranges_join():
    loud = InputFacts(-10.0, 0.2, 0.0, 0.0, 0.9, (-9.0, -11.0), (0.0, 0.0), (0.9, 0.9))
    quiet = replace(loud, levels_dbfs=(-50.0, -40.0), clipped_share=0.0, repeated_share=0.1, colour=0.5)
    assert InputRange.of([loud, quiet]) == InputRange(-50.0, -9.0, 0.2, 0.1, 0.5)
    assert InputRange.of([]) is None
    assert InputRange.joined([None, InputRange.of([loud]), None]) == InputRange.of([loud])


def test_a_segment_carries_the_facts_of_its_own_samples():
    spec = AnomalySpec(segment_samples=16000, hop_samples=4096, inputs=())
    signal = torn(0.5, 0.02)[: 3 * RATE_HZ + 77]
    features = AnomalyFeatures(spec)
    segments = features.push(Block(0, signal)) + features.flush()
    assert segments[-1].sample_end == len(signal)
    assert [s.input for s in segments] == [input_facts(signal[s.sample_start : s.sample_end]) for s in segments]


def test_recorded_machines_are_healthy_input(data_dir):
    """Clean and torn copies of real recordings."""
    paths = sorted((data_dir / "machines").rglob("*.flac"))[::12]
    assert paths
    for path in paths:
        samples = soundfile.read(path, dtype="float32", always_2d=True)[0][:, 0]
        facts = input_facts(samples)
        assert input_verdict(facts, InputRange.of([facts])).is_ok, path
        torn_samples = samples.copy()
        torn_samples[: len(samples) // 40] = 0.0
        assert input_verdict(input_facts(torn_samples), InputRange.of([facts])).state == "dropouts", path
