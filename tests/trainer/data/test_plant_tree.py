"""The synthetic tree: read like DCASE, same samples from the same values, resumed where it stopped, nothing to find."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import UsageError
from trainer.data.check import check_data
from trainer.data.dcase import class_names, read_machine_tree
from trainer.data.plant_tree import PlantTree, plant_clips, plant_machines, start_tree, write_clip
from trainer.data.plant_workers import write_clips
from trainer.files import StorageError

SMALL = PlantTree(machines=2, sections=2, clips=6, test=8, points=2, target_share=0.2, duration_s=2.0, seed=5)


def made(out: Path, tree: PlantTree, workers: int = 1) -> Path:
    sum(write_clips(out, tree, start_tree(out, tree), workers))
    return out


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("made") / "plant", SMALL)


def test_it_reads_like_a_dcase_tree(plant: Path) -> None:
    clips = read_machine_tree(plant)
    assert {(clip.machine, clip.section) for clip in clips} == {
        (machine, section) for machine in ("rotating0", "flow0") for section in ("00", "01")
    }
    for split, domain, condition, n_expected in [
        ("train", "source", "normal", 5),
        ("train", "target", "normal", 1),
        ("test", "source", "anomaly", 2),
        ("test", "target", "normal", 2),
    ]:
        matching = [clip for clip in clips if (clip.split, clip.domain, clip.condition) == (split, domain, condition)]
        assert len(matching) == 4 * n_expected
    assert len(clips) == SMALL.n_clips == 4 * (6 + 8)


def test_operating_points_are_attributes(plant: Path) -> None:
    clips = read_machine_tree(plant)
    for clip in clips:
        assert clip.path.stem.endswith(clip.attributes)
    for section in ("00", "01"):
        of_section = [clip for clip in clips if (clip.machine, clip.section) == ("flow0", section)]
        source = {clip.attributes for clip in of_section if clip.domain == "source"}
        target = {clip.attributes for clip in of_section if clip.domain == "target"}
        assert 1 <= len(source) <= 2
        assert not source & target
    assert len(class_names(clips)) >= 8


def test_faults_are_told_beside_the_attributes(plant: Path) -> None:
    with (plant / "flow0" / "faults_01.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    anomalies = {clip.path for clip in read_machine_tree(plant) if clip.condition == "anomaly"}
    assert len(rows) == 4
    assert {plant / row["file_name"] for row in rows} <= anomalies
    assert all(0.2 <= float(row["severity"]) <= 1.0 for row in rows)


def test_check_finds_no_broken_or_copied_or_telling_sound(plant: Path) -> None:
    report = check_data(read_machine_tree(plant))
    assert not report.has_errors
    assert {finding.code for finding in report.findings} <= {"lonely-class"}
    assert report.formats == {"16000 Hz, 1 channel": SMALL.n_clips}


def test_what_was_begun_goes_on(plant: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    for clip in start_tree(out, SMALL)[:10]:
        write_clip(out, SMALL, clip)
    first = out / next(plant_clips(SMALL)).path
    first.write_bytes(b"complete as it is")
    missing = start_tree(out, SMALL)
    assert len(missing) == SMALL.n_clips - 10
    write_clip(out, SMALL, missing[-1])
    assert first.read_bytes() == b"complete as it is"
    assert (out / missing[-1].path).read_bytes() == (plant / missing[-1].path).read_bytes()
    assert start_tree(plant, SMALL) == []


def test_no_half_file_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: a full disk ended the command with a traceback of libsndfile's."""

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    clip = start_tree(tmp_path, SMALL)[0]
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(StorageError, match="No space"):
        write_clip(tmp_path, SMALL, clip)
    assert not list(tmp_path.rglob("*section_00_source_train_normal_0000*"))


def test_a_full_disk_is_told_by_worker_processes_too(tmp_path: Path) -> None:
    tree = replace(SMALL, clips=20)
    clips = start_tree(tmp_path, tree)
    (tmp_path / "rotating0" / "train").touch()  # where a folder should go
    with pytest.raises(StorageError, match="rotating0/train: cannot be written"):
        list(write_clips(tmp_path, tree, clips, 2))


def test_other_values_need_another_folder(plant: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="made with other values"):
        start_tree(plant, replace(SMALL, seed=6))
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UsageError, match=r"holds no plant\.json"):
        start_tree(tmp_path, SMALL)
    with pytest.raises(UsageError, match="more than 1000000"):
        start_tree(tmp_path / "new", replace(SMALL, clips=500_000))


def test_several_processes_write_the_same(plant: Path, tmp_path: Path) -> None:
    out = made(tmp_path / "parallel", SMALL, workers=2)
    for path in plant.rglob("*.wav"):
        assert (out / path.relative_to(plant)).read_bytes() == path.read_bytes()
    assert not list(out.rglob(".*"))


def test_flac_holds_the_same_samples(plant: Path, tmp_path: Path) -> None:
    tree = replace(SMALL, suffix=".flac")
    clip = start_tree(tmp_path, tree)[0]
    write_clip(tmp_path, tree, clip)
    samples, rate_hz = sf.read(tmp_path / clip.path, dtype="int16")
    original, _ = sf.read((plant / clip.path).with_suffix(".wav"), dtype="int16")
    assert (rate_hz, len(samples)) == (16_000, 32_000)
    assert np.abs(samples.astype(int) - original).max() <= 1


def test_seeds_make_the_difference() -> None:
    clips = list(plant_clips(SMALL))
    assert len({clip.seed for clip in clips}) == len({clip.path for clip in clips}) == len(clips)
    other = next(plant_clips(replace(SMALL, seed=6)))
    assert plant_machines(replace(SMALL, seed=6))[0].machine != plant_machines(SMALL)[0].machine
    assert other.seed != clips[0].seed


@given(st.integers(1, 3000), st.floats(0.0, 0.5))
def test_some_target_clips_but_not_all(clips: int, share: float) -> None:
    tree = PlantTree(clips=clips, target_share=share)
    assert 0 <= tree.target_clips < clips
    assert tree.target_clips >= (share > 0 and clips > 1)
    assert tree.target_clips <= max(1, share * clips + 1)


def test_dcase_has_990_to_10() -> None:
    assert PlantTree().target_clips == 10
