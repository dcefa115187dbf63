"""What lies in a directory beside recordings ends no enrolment and is never read."""

import os

import pytest

from edged.errors import EnrolmentError
from edged.references import search
from edged.references.search import find_audio


def names(paths):
    return [path.name for path in paths]


def test_only_regular_files_with_a_suffix_of_audio_are_found(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "folder.wav" / "inside.FLAC").touch()
    (tmp_path / "a.wav").touch()
    (tmp_path / "._a.wav").touch()  # of an archive that was packed on macOS
    (tmp_path / ".Trash-1000").mkdir()
    (tmp_path / ".Trash-1000" / "thrown-away.wav").touch()
    (tmp_path / "notes.txt").touch()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    (tmp_path / "around").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "linked.wav").symlink_to(tmp_path / "a.wav")
    assert names(find_audio([tmp_path])) == ["a.wav", "inside.FLAC", "linked.wav"]


def test_a_pipe_that_is_named_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(EnrolmentError, match="neither a file nor a directory"):
        find_audio([tmp_path / "pipe.wav"])


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    with pytest.raises(EnrolmentError, match="symbolic links"):
        find_audio([tmp_path / "loop.wav"])


def test_too_many_files_are_refused_before_they_are_all_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "MAX_FILES", 20)
    for number in range(30):
        (tmp_path / f"{number}.wav").touch()
    with pytest.raises(EnrolmentError, match="more than 20 files"):
        find_audio([tmp_path])


def test_a_tree_of_other_things_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "MAX_ENTRIES", 20)
    for number in range(30):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(EnrolmentError, match="more than 20 entries"):
        find_audio([tmp_path])
