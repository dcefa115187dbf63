"""Nothing but regular files below the named directories is opened, whatever a peer names."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import UsageError
from edged.security.paths import MAX_DEPTH, each_recording


@pytest.fixture
def place(tmp_path):
    """What may be named, and a secret beside it."""
    allowed = tmp_path / "allowed"
    (allowed / "inner").mkdir(parents=True)
    (allowed / "a.wav").write_bytes(b"a")
    (allowed / "inner" / "b.wav").write_bytes(b"b")
    (tmp_path / "secret.wav").write_bytes(b"secret")
    return allowed


def taken(allowed, text):
    found = {}
    each_recording([allowed], str(text), lambda name, fd: found.update({name: os.read(fd, 100)}))
    return found


def test_files_and_directories_below_are_found(place):
    assert taken(place, place / "a.wav") == {"a.wav": b"a"}
    assert taken(place, place) == {"a.wav": b"a", "b.wav": b"b"}
    assert taken(place, f"{place}/inner/") == {"b.wav": b"b"}


@pytest.mark.parametrize(
    "text",
    [
        "{allowed}/../secret.wav", "{allowed}/inner/../../secret.wav", "/etc/passwd", "/proc/self/environ",
        "secret.wav", "a.wav", "", "/", "{allowed}x/a.wav", "//etc/passwd", "{allowed}/\0", "{allowed}/" + "x/" * 3000,
    ],
)  # fmt: skip
def test_what_lies_elsewhere_is_refused(place, text):
    with pytest.raises(UsageError, match="outside of what control messages may name"):
        taken(place, text.format(allowed=place))


def test_links_are_not_followed(place, tmp_path):
    (place / "link.wav").symlink_to(tmp_path / "secret.wav")
    (place / "up").symlink_to(tmp_path)
    for text in (place / "link.wav", place / "up" / "secret.wav", place / "up"):
        with pytest.raises(UsageError, match=r"link|Not a directory"):
            taken(place, text)
    assert "link.wav" not in taken(place, place)


def test_pipes_and_devices_are_refused_and_not_waited_for(place):
    os.mkfifo(place / "pipe.wav")
    with pytest.raises(UsageError, match="neither a file nor a directory"):
        taken(place, place / "pipe.wav")
    assert "pipe.wav" not in taken(place, place)
    with pytest.raises(UsageError, match="neither a file nor a directory"):
        each_recording([place.parent.parent, *[type(place)("/dev")]], "/dev/zero", lambda *_: None)


def test_what_is_swapped_for_a_link_while_it_is_looked_at_is_not_read(place, tmp_path):
    """The check and the reading were by name: between them the file could become a link to another."""

    def swap(name, descriptor):
        (place / "a.wav").unlink()
        (place / "a.wav").symlink_to(tmp_path / "secret.wav")
        seen.append(os.read(descriptor, 100))

    seen = []
    each_recording([place], str(place / "a.wav"), swap)
    assert seen == [b"a"]


def test_directories_are_searched_to_a_bounded_depth(place):
    deep = place / "/".join("d" * 1 for _ in range(MAX_DEPTH + 2))
    deep.mkdir(parents=True)
    (deep / "far.wav").write_bytes(b"x")
    assert "far.wav" not in taken(place, place)


@pytest.mark.parametrize("name", ["b.wav", "inner", "other.txt"])
def test_what_cannot_be_read_is_named_and_not_passed_over(place, monkeypatch, name):
    # clips that the daemon may not read were left out without a word, and the others enrolled
    (place / "inner" / "other.txt").write_text("no recording")
    real = os.open

    def refuse(path, *args, **options):
        if path == name:
            raise PermissionError(13, "Permission denied", path)
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    if name == "other.txt":
        assert taken(place, place) == {"a.wav": b"a", "b.wav": b"b"}
        return
    with pytest.raises(UsageError, match=f"{name}: Permission denied"):
        taken(place, place)


def test_an_absent_file_and_an_empty_directory_are_named(place):
    with pytest.raises(UsageError, match="no such file"):
        taken(place, place / "absent.wav")
    (place / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no audio files"):
        taken(place, place / "empty")


@given(steps=st.lists(st.sampled_from(["..", ".", "a.wav", "inner", "b.wav", "", "secret.wav", "/"]), max_size=6))
def test_no_path_reads_what_lies_elsewhere(tmp_path_factory, steps):
    base = tmp_path_factory.getbasetemp() / "property"
    if not base.exists():
        (base / "allowed" / "inner").mkdir(parents=True)
        (base / "allowed" / "a.wav").write_bytes(b"a")
        (base / "secret.wav").write_bytes(b"secret")
    try:
        found = taken(base / "allowed", "/".join([str(base / "allowed"), *steps]))
    except UsageError:
        return
    assert set(found.values()) == {b"a"}
