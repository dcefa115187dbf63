"""`edged explain --png`: a picture is there whole, or the one before it is."""

import pytest

from edged.cli import explain
from edged.errors import UsageError
from edged.explain import picture


@pytest.fixture
def drawn(monkeypatch):
    monkeypatch.setattr(picture, "png", lambda *_: b"PNG" * 1000)


def test_a_full_disk_leaves_the_picture_that_was_there(drawn, tmp_path, monkeypatch):
    # it was written straight to its place: what was left was half a picture
    place = tmp_path / "why.png"
    place.write_bytes(b"before")
    monkeypatch.setattr("os.fsync", _no_room)
    with pytest.raises(UsageError, match="No space left"):
        explain._draw(None, "title", place)
    assert place.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["why.png"]


def _no_room(_descriptor):
    raise OSError(28, "No space left on device")


def test_a_picture_takes_the_place_of_another(drawn, tmp_path):
    (tmp_path / "why.png").write_bytes(b"before")
    explain._draw(None, "title", tmp_path / "why.png")
    assert (tmp_path / "why.png").read_bytes() == b"PNG" * 1000
    assert [path.name for path in tmp_path.iterdir()] == ["why.png"]


def test_a_place_that_is_no_file_is_refused_or_written_through(drawn, tmp_path):
    with pytest.raises(UsageError, match="name another place"):
        explain._draw(None, "title", tmp_path)
    explain._draw(None, "title", tmp_path.joinpath("/dev/null"))


def test_a_link_is_written_through(drawn, tmp_path):
    # `--png /dev/stdout > file`, by root: the link in /dev was replaced by a picture
    link, file = tmp_path / "stdout", tmp_path / "redirected"
    file.write_bytes(b"before")
    link.symlink_to(file)
    explain._draw(None, "title", link)
    assert link.is_symlink()
    assert file.read_bytes() == b"PNG" * 1000
