"""Class folders, roles of the classes and K-shot folds, against Table 28."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import AudioError, UsageError
from trainer.open_set.clips import SoundClip, read_class_tree, read_waveform
from trainer.open_set.folds import few_shot_folds
from trainer.open_set.roles import assign_roles

NAMES = tuple(f"class{k:02d}" for k in range(34))


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, np.full(800, 0.25, np.float32), 16_000)


def collection(n_per_class: int = 40, names: tuple[str, ...] = NAMES) -> list[SoundClip]:
    return [SoundClip(Path(f"{n}/{k}.wav"), n, f"{n}/{k}") for n in names for k in range(n_per_class)]


def test_a_folder_per_class(tmp_path: Path) -> None:
    """Files of the same name in different folders below a class are different recordings."""
    touch(tmp_path, "bell/1.wav", "bell/more/1.flac", "horn/1.wav", "horn/._1.wav")
    (tmp_path / "README.md").write_text("no sound")
    clips = read_class_tree(tmp_path)
    assert [(clip.name, clip.recording) for clip in clips] == [
        ("bell", "bell/1"),
        ("bell", "bell/more/1"),
        ("horn", "horn/1"),
    ]


def test_classes_in_file_names_and_takes_of_one_recording(tmp_path: Path) -> None:
    touch(tmp_path, "dog__1-100-A.wav", "dog__1-100-B.wav", "rain__2-7-A.wav", "rain__other.wav")
    clips = read_class_tree(tmp_path)
    assert [clip.name for clip in clips] == ["dog", "dog", "rain", "rain"]
    assert [clip.recording for clip in clips] == ["1-100", "1-100", "2-7", "rain/other"]


def test_trees_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such directory"):
        read_class_tree(tmp_path / "absent")
    touch(tmp_path, "bell/1.wav")
    with pytest.raises(AudioError, match="fewer than two classes"):
        read_class_tree(tmp_path)
    touch(tmp_path, "stray.wav")
    with pytest.raises(AudioError, match="belongs to no class"):
        read_class_tree(tmp_path)


def test_segments_have_one_length(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.array([0.5, -0.25, 2.0], np.float32), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read_waveform(tmp_path / "a.wav", 5), [0.5, -0.25, 1.0, 0.5, -0.25], atol=1e-4)
    np.testing.assert_allclose(read_waveform(tmp_path / "a.wav", 2), [0.5, -0.25], atol=1e-4)
    sf.write(tmp_path / "b.wav", np.array([np.nan], np.float32), 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        read_waveform(tmp_path / "b.wav", 5)


@pytest.mark.parametrize(("level", "n_known", "openness"), [("low", 10, 0.0), ("middle", 5, 0.04), ("high", 0, 0.09)])
@pytest.mark.parametrize(("shots", "n_folds"), [(1, 40), (2, 20), (4, 10)])
def test_structure_of_table_28(level: str, n_known: int, openness: float, shots: int, n_folds: int) -> None:
    roles = assign_roles(NAMES, level, 0, n_non_targets=10)
    sizes = (len(roles.targets), len(roles.known_unknowns), len(roles.unknowns))
    assert sizes == (24, n_known, 10 - n_known)
    assert roles.openness == pytest.approx(openness, abs=0.005)
    folds = few_shot_folds(collection(), roles, shots, 0)
    assert len(folds) == n_folds
    assert all(len(fold.train) == shots * (24 + n_known) for fold in folds)
    assert all(len(fold.test) == 34 * 40 - len(fold.train) for fold in folds)


def test_every_clip_of_a_trained_class_is_a_shot_once() -> None:
    roles = assign_roles(NAMES, "middle", 0, n_non_targets=10)
    folds = few_shot_folds(collection(8), roles, 2, 0)
    shots = [clip for fold in folds for clip in fold.train]
    assert len(shots) == len(set(shots)) == 29 * 8
    for fold in folds:
        assert not set(fold.train) & set(fold.test)
        assert [roles.trained[c] for c in fold.train_classes] == [clip.name for clip in fold.train]
        told = [roles.targets[c] if c >= 0 else None for c in fold.test_classes]
        assert told == [clip.name if clip.name in roles.targets else None for clip in fold.test]


def test_takes_of_a_shots_recording_are_not_judged() -> None:
    """Two takes per recording: with each shot its other take leaves the test."""
    clips = [SoundClip(Path(f"{n}/{k}"), n, f"{n}/{k // 2}") for n in "abc" for k in range(8)]
    roles = assign_roles("abc", "high", 0, non_targets=("c",))
    for fold in few_shot_folds(clips, roles, 1, 0):
        assert len(fold.test) == 24 - 2 * 2
        assert not {c.recording for c in fold.train} & {c.recording for c in fold.test}


@given(seed=st.integers(0, 50), level=st.sampled_from(["low", "middle", "high"]))
def test_roles_part_the_classes(seed: int, level: str) -> None:
    roles = assign_roles(NAMES, level, seed, n_non_targets=7)
    assert sorted((*roles.trained, *roles.unknowns)) == sorted(NAMES)
    named = assign_roles(NAMES, level, seed, non_targets=NAMES[3:6])
    assert sorted((*named.known_unknowns, *named.unknowns)) == sorted(NAMES[3:6])
    assert named.targets == tuple(name for name in NAMES if name not in NAMES[3:6])


def test_seeds_draw_other_classes_and_shots() -> None:
    drawn = {assign_roles(NAMES, "low", seed).targets for seed in range(5)}
    assert len(drawn) == 5
    roles = assign_roles(NAMES, "low", 0)
    one, same, other = (few_shot_folds(collection(), roles, 1, seed)[0].train for seed in (0, 0, 1))
    assert one == same != other


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="no classes x"):
        assign_roles("abc", "low", 0, non_targets=("x",))
    with pytest.raises(UsageError, match="1 targets among 3 classes"):
        assign_roles("abc", "low", 0, n_non_targets=2)
    roles = assign_roles("abcd", "high", 0, non_targets=("d",))
    with pytest.raises(AudioError, match="has 4 clips, not 5"):
        few_shot_folds(collection(4, tuple("abcd")), roles, 5, 0)
    with pytest.raises(AudioError, match="left to judge"):
        few_shot_folds(collection(4, tuple("abcd")), roles, 4, 0)
