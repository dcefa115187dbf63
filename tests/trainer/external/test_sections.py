"""Machines through an encoder, the shallow classifier and a back end."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from edged.errors import AudioError, UsageError
from tests.fakes.sounds import machine
from trainer.data.dcase import MachineClip, read_machine_tree
from trainer.external.sections import MachineVectors, encode_machines, judge_sections, train_on_machines
from trainer.external.shallow import ShallowRecipe


class BandEnergies:
    """Logarithmic energies of 16 bands, four times per clip."""

    label, dim = "bands", 16

    def vectors(self, clip: np.ndarray) -> np.ndarray:
        power = np.abs(np.fft.rfft(clip.reshape(4, -1))) ** 2
        bands = np.stack([chunk.mean(axis=1) for chunk in np.array_split(power[:, 1:], 16, axis=1)], axis=1)
        return np.log(bands + 1e-6).astype(np.float32)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> list[MachineClip]:
    """Two machines; the second hums an octave of the first's band away."""
    root = tmp_path_factory.mktemp("machines")
    for number, rate_hz in enumerate((16_000, 11_000)):
        for k in range(12):
            split, word = ("train", "normal") if k < 6 else ("test", "normal" if k < 9 else "anomaly")
            path = root / f"kind{number}" / split / f"{word}_id_00_{k:08d}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sf.write(path, machine(1.0, 100 * number + k, fault=word == "anomaly", rate_hz=rate_hz)[:8000], 16_000)
    return read_machine_tree(root)


def test_faults_are_told_from_normal_sound(tree: list[MachineClip], tmp_path: Path) -> None:
    encoded = encode_machines(BandEnergies(), tree)
    assert encoded.vectors.shape == (24, 4, 16)
    trained = train_on_machines(encoded, ShallowRecipe(n_centres=2, max_epochs=15, batch_size=8), tmp_path)
    sections = judge_sections(trained, params={"n_clusters": 4})
    assert [section.name for section in sections] == ["kind0/00", "kind1/00"]
    for section in sections:
        assert len(section.normal) == len(section.anomalous) == 3
        assert section.normal.max() < section.anomalous.min()
        assert len(section.normal_scores) == 6


def test_an_encoders_own_vectors_can_be_judged(tree: list[MachineClip]) -> None:
    encoded = encode_machines(BandEnergies(), tree, keep_time=False)
    sections = judge_sections(encoded, "shrinkage", {})
    assert all(section.normal.max() < section.anomalous.min() for section in sections)


def test_a_domain_that_is_not_told_is_the_source(tree: list[MachineClip]) -> None:
    """References of a manifest without domains were all taken for the target: none was clustered."""
    untold = [replace(clip, domain="unknown") for clip in tree]
    told, found = (
        judge_sections(encode_machines(BandEnergies(), clips, keep_time=False), params={"n_clusters": 2, "seed": 0})
        for clips in (tree, untold)
    )
    for one, other in zip(told, found, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
        assert one.domains == other.domains


def test_nothing_to_train_on(tree: list[MachineClip], tmp_path: Path) -> None:
    tests = [clip for clip in tree if clip.split == "test"]
    vectors = np.zeros((len(tests), 3), np.float32)
    with pytest.raises(AudioError, match="no normal training clips"):
        train_on_machines(MachineVectors(tuple(tests), vectors), ShallowRecipe(), tmp_path)
    one_class = [clip for clip in tree if clip.machine == "kind0"]
    with pytest.raises(UsageError, match="classes to tell apart"):
        train_on_machines(MachineVectors(tuple(one_class), np.ones((12, 3), np.float32)), ShallowRecipe(), tmp_path)


def test_sections_without_a_test_are_left_out(tree: list[MachineClip]) -> None:
    kept = [clip for clip in tree if clip.machine == "kind0" or clip.split == "train"]
    encoded = encode_machines(BandEnergies(), kept, keep_time=False)
    assert [section.machine for section in judge_sections(encoded)] == ["kind0"]
