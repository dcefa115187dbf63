import os
import signal
import subprocess
import sys

import pytest

from edged.errors import UsageError
from edged.events.cursor import CursorFile, Position


def test_what_was_stored_is_read_again(tmp_path):
    CursorFile(tmp_path / "c").save(Position(7, "j"))
    assert CursorFile(tmp_path / "c").load() == Position(7, "j")
    assert CursorFile(tmp_path / "none").load() is None
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"seq": -1, "journal": ""}', b'{"seq": true, "journal": ""}',
                                    b'{"seq": 1}', b'{"seq": 1e3, "journal": ""}', b"\xff" * 9000])  # fmt: skip
def test_a_damaged_file_gives_everything_again(tmp_path, damage):
    (tmp_path / "c").write_bytes(damage)
    assert CursorFile(tmp_path / "c").load() == Position(0)


def test_what_cannot_be_a_file_is_said_at_once(tmp_path):
    with pytest.raises(UsageError, match="Is a directory"):
        CursorFile(tmp_path).load()
    with pytest.raises(UsageError, match="No such file"):
        CursorFile(tmp_path / "none" / "c").save(Position(1))


def test_a_killed_writer_leaves_the_old_or_the_new(tmp_path):
    script = (
        "import sys, pathlib, itertools\n"
        "from edged.events.cursor import CursorFile, Position\n"
        "cursor = CursorFile(pathlib.Path(sys.argv[1]))\n"
        "for n in itertools.count(1):\n"
        "    cursor.save(Position(n, 'j'))\n"
        "    print(n, flush=True)\n"
    )
    for kill_after in (1, 5, 23):
        path = tmp_path / str(kill_after)
        writer = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, env=os.environ)
        for _ in range(kill_after):
            said = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        said = int((writer.stdout.read().split() or [said])[-1])
        writer.wait()
        assert CursorFile(path).load().seq in {said, said + 1}


def test_an_event_costs_one_small_write_and_no_sync(tmp_path, monkeypatch):
    # the cursor was written anew and synced twice, file and directory, for every single event
    cursor, synced = CursorFile(tmp_path / "c"), []
    cursor.save(Position(1, "j"))
    for name in ("fsync", "fdatasync"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda descriptor, real=real: synced.append(descriptor) or real(descriptor))
    inode = (tmp_path / "c").stat().st_ino
    for seq in range(2, 200):
        cursor.save(Position(seq, "j"))
        assert CursorFile(tmp_path / "c").load() == Position(seq, "j")
    assert len(synced) <= 1
    cursor.close()
    cursor.close()
    assert 1 <= len(synced) <= 2
    assert (tmp_path / "c").stat().st_ino == inode


@pytest.mark.parametrize("become", ["removed", "shorter", "a link"])
def test_a_file_that_others_changed_is_made_anew(tmp_path, become):
    cursor, path = CursorFile(tmp_path / "c"), tmp_path / "c"
    cursor.save(Position(1, "a long name of a journal"))
    path.unlink()
    if become == "shorter":
        path.write_bytes(b"{}")
    if become == "a link":
        (tmp_path / "other").write_bytes(b"x" * 512)
        path.symlink_to(tmp_path / "other")
    cursor.save(Position(2, "j"))
    assert CursorFile(path).load() == Position(2, "j")
    assert not path.is_symlink()
    assert become != "a link" or (tmp_path / "other").read_bytes() == b"x" * 512
    cursor.close()


def test_a_name_too_long_for_the_record_is_kept_too(tmp_path):
    cursor = CursorFile(tmp_path / "c")
    for seq in (1, 2):
        cursor.save(Position(seq, "j" * 600))
        assert CursorFile(tmp_path / "c").load() == Position(seq, "j" * 600)
