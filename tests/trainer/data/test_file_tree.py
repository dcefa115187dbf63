"""Which files of a folder count: those behind links do, hidden ones do not, and nothing is missed in silence."""

import os
from pathlib import Path

import pytest

from edged.errors import AudioError
from trainer.data.dcase import audio_files, read_machine_tree
from trainer.data.file_tree import files_below

NAME = "section_00_source_train_normal_0000"


def tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_linked_folders_are_read_with_their_tables(tmp_path: Path) -> None:
    """A machine whose folder was linked into the tree was left out without a word."""
    elsewhere = tree(tmp_path / "disk", f"fan/train/{NAME}.wav")
    (elsewhere / "fan" / "attributes_00.csv").write_text(f"file_name,d1p,d1v\n{NAME}.wav,speed,6\n")
    root = tree(tmp_path / "set", f"pump/train/{NAME}.wav")
    (root / "fan").symlink_to(elsewhere / "fan")
    assert [clip.label for clip in read_machine_tree(root)] == ["fan/00/speed_6", "pump/00"]


def test_links_in_circles_list_each_folder_once_by_its_own_place(tmp_path: Path) -> None:
    root = tree(tmp_path / "set", "b/x.wav", "c/y.wav")
    (root / "a").symlink_to(root / "b")
    (root / "b" / "back").symlink_to(root / "c")
    (root / "c" / "up").symlink_to(tmp_path)
    assert [path.relative_to(root).as_posix() for path in files_below(root)] == ["b/x.wav", "c/y.wav"]


def test_what_is_hidden_does_not_count(tmp_path: Path) -> None:
    """Deleted recordings in a wastebasket, and the objects of git-annex, were training clips."""
    root = tree(tmp_path, "a.wav", "._a.wav", ".Trash-1000/files/b.wav", ".git/annex/c.wav")
    assert audio_files(root) == [root / "a.wav"]
    assert [path.name for path in files_below(root / ".git")] == ["c.wav"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its recordings were left out without a word."""
    listed = os.scandir

    def closed(path: str | Path) -> object:
        if Path(path).name == "pump":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    root = tree(tmp_path, "fan/a.wav", "pump/b.wav")
    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(AudioError, match=r"pump: cannot be listed .Permission denied."):
        files_below(root)
