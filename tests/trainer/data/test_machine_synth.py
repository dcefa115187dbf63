"""The synthetic plant: same seed same sound, every fault audible, level no clue."""

import numpy as np
import pytest

from trainer.data.machine_kinds import KINDS, Fault, draw_machine
from trainer.data.machine_synth import PlantMachine, draw_fault, draw_plant, render_clip

PLANT = draw_plant(4, seed=3)


def test_a_seed_fixes_everything() -> None:
    again = draw_plant(4, seed=3)
    for left, right in zip(PLANT, again, strict=True):
        np.testing.assert_array_equal(
            render_clip(left, (1, 2), duration_s=2.0), render_clip(right, (1, 2), duration_s=2.0)
        )


def test_clips_differ_but_their_level_does_not() -> None:
    first, second = (render_clip(PLANT[0], (1, k), duration_s=2.0) for k in range(2))
    assert not np.array_equal(first, second)
    for clip in (first, second):
        assert clip.dtype == np.float32
        assert np.sqrt(np.mean(clip**2)) == pytest.approx(0.03, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_changes_the_sound(kind: str) -> None:
    machine = draw_machine(kind, np.random.default_rng(5))
    item = PlantMachine(kind, kind, machine, PLANT[0].domains)
    healthy = render_clip(item, (7,), duration_s=6.0)
    for name in machine.FAULTS:
        broken = render_clip(item, (7,), duration_s=6.0, fault=Fault(name, 1.0))
        assert np.isfinite(broken).all()
        assert np.sqrt(np.mean((broken - healthy) ** 2)) > 0.02 * 0.03, name


def test_domains_differ() -> None:
    source, target = (render_clip(PLANT[1], (1,), domain=d, duration_s=4.0) for d in (0, 1))
    spectra = [np.log(np.abs(np.fft.rfft(x))[200:8000].reshape(-1, 100).mean(1) + 1e-9) for x in (source, target)]
    assert np.abs(spectra[0] - spectra[1]).mean() > 0.1


def test_faults_are_those_of_the_machine() -> None:
    for item in PLANT:
        fault = draw_fault(item, np.random.default_rng(0))
        assert fault.name in item.machine.FAULTS
        assert 0.3 <= fault.severity <= 1.0


def test_passing_noise_is_mixed_in() -> None:
    noise = [np.sin(np.arange(16_000)).astype(np.float32)]
    clips = [render_clip(PLANT[0], (k,), noises=noise, duration_s=2.0) for k in range(6)]
    plain = [render_clip(PLANT[0], (k,), duration_s=2.0) for k in range(6)]
    changed = [not np.array_equal(a, b) for a, b in zip(clips, plain, strict=True)]
    assert any(changed)
