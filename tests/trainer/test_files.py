"""Files that are either whole or not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trainer.files import StorageError, write_whole

WRITER = """
import sys
from pathlib import Path
from trainer.files import write_whole
for number in range(200):
    write_whole(Path(sys.argv[1]), sys.argv[2].encode() * 10_000)
"""


def test_processes_that_write_one_file_leave_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "shared"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter]) for letter in "ab"]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert path.read_bytes() in (b"a" * 10_000, b"b" * 10_000)
    assert [entry.name for entry in tmp_path.iterdir()] == ["shared"]


def test_what_stood_there_is_kept_where_asked(tmp_path: Path) -> None:
    path, kept = tmp_path / "new", tmp_path / "old"
    write_whole(path, b"first", keep=kept)
    assert not kept.exists()
    write_whole(path, b"second", keep=kept)
    assert (path.read_bytes(), kept.read_bytes()) == (b"second", b"first")


def test_what_cannot_be_written_is_said_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "place"
    path.mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        write_whole(path, b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["place"]
