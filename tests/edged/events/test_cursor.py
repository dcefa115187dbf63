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
