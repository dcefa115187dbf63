import os
import stat
from pathlib import Path

import pytest
import zmq
import zmq.auth
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import ConfigError
from edged.security.keys import KeyPair, is_key, new_pair, read_pair, read_public, write_pair, write_public


def test_what_is_written_is_read_back_and_by_zeromqs_own_reader_too(tmp_path):
    pair = new_pair()
    write_pair(tmp_path / "a.key_secret", pair)
    write_public(tmp_path / "a.key", pair.public)
    assert read_pair(tmp_path / "a.key_secret") == pair
    assert read_public(tmp_path / "a.key") == pair.public
    assert zmq.auth.load_certificate(tmp_path / "a.key_secret") == (pair.public, pair.secret)


def test_keys_of_zeromqs_own_tools_are_read(tmp_path):
    zmq.auth.create_certificates(tmp_path, "a")
    (tmp_path / "a.key_secret").chmod(0o600)
    assert (read_pair(tmp_path / "a.key_secret").public, None) == zmq.auth.load_certificate(tmp_path / "a.key")


def test_a_secret_key_is_private_from_its_first_byte(tmp_path, monkeypatch):
    modes = []
    really = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (modes.append(stat.S_IMODE(os.fstat(fd).st_mode)), really(fd)))
    before = os.umask(0)
    try:
        write_pair(tmp_path / "a.key_secret", new_pair())
    finally:
        os.umask(before)
    assert modes == [0o600]
    assert [path.name for path in tmp_path.iterdir()] == ["a.key_secret"]


def test_a_secret_key_is_not_printed():
    pair = new_pair()
    assert pair.secret.decode() not in repr(pair)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a key file"),
        ('public-key = "short"', "not a key file"),
        (f'public-key = "{"x" * 40}"', "holds no secret key"),
        (f'public-key = "{"x" * 40}"\nsecret-key = "{"y" * 40}"', "does not belong"),
        ("x" * 5000, "not a key file"),
    ],
)
def test_what_is_no_pair_is_refused(tmp_path, text, message):
    path = tmp_path / "a.key_secret"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=message):
        read_pair(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.key")
    with pytest.raises(ConfigError, match="not a key file"):
        read_public(tmp_path / "a.key")


def test_a_secret_key_that_others_may_read_is_refused(tmp_path):
    write_pair(tmp_path / "a.key_secret", new_pair())
    (tmp_path / "a.key_secret").chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_pair(tmp_path / "a.key_secret")


@given(st.binary(max_size=60))
def test_only_keys_pass_for_keys(text):
    if is_key(text):
        assert zmq.curve_public(text)
        assert KeyPair(text, text)


def test_a_directory_in_place_of_a_key_costs_no_descriptor(tmp_path):
    """Each look at it left one open."""
    n_open = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_public(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == n_open
