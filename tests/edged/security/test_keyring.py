from pathlib import Path

import pytest

from edged.errors import ConfigError, UsageError
from edged.security.allowlist import read_allow_list
from edged.security.keyring import Keyring
from edged.security.keys import new_pair, read_pair


@pytest.fixture
def keyring(tmp_path):
    made = Keyring(tmp_path / "keys")
    assert made.init(force=False)
    return made


def test_what_is_there_is_kept_unless_forced(keyring):
    before = keyring.server_secret.read_bytes()
    assert not keyring.init(force=False)
    assert keyring.server_secret.read_bytes() == before
    assert keyring.init(force=True)
    assert keyring.server_secret.read_bytes() != before


def test_a_lost_public_half_is_made_again(keyring):
    keyring.server_public.unlink()
    assert not keyring.init(force=False)
    assert read_pair(keyring.server_secret).public.decode() in keyring.server_public.read_text()


def test_clients_come_and_go(keyring):
    panel, boss = keyring.add("panel", "listen"), keyring.add("boss", "control")
    assert [(c.name, c.right, key) for c, key in keyring.clients()] == [
        ("boss", "control", boss.public),
        ("panel", "listen", panel.public),
    ]
    assert read_pair(panel.secret_file).public.decode() == panel.public
    assert panel.secret_file.stat().st_mode & 0o777 == 0o600
    assert panel.secret_file.parent.stat().st_mode & 0o777 == 0o700
    keyring.remove("panel")
    assert [client.name for client, _ in keyring.clients()] == ["boss"]
    assert not panel.secret_file.exists()


def test_a_client_that_brings_its_own_key_has_no_secret_here(keyring, tmp_path):
    public = new_pair().public
    assert keyring.add("gateway", "listen", public=public.decode()).secret_file is None
    assert read_allow_list(keyring.allowed)[public].name == "gateway"
    with pytest.raises(UsageError, match="that key is 'gateway' already"):
        keyring.add("other", "listen", public=public.decode())
    with pytest.raises(UsageError, match="no public CURVE key"):
        keyring.add("third", "listen", public=str(tmp_path / "absent"))


def test_a_client_never_loses_its_key_by_a_slip(keyring):
    first = keyring.add("panel", "listen")
    with pytest.raises(UsageError, match="--force"):
        keyring.add("panel", "listen")
    with pytest.raises(UsageError, match="--force"):
        keyring.add("panel", "control", public=new_pair().public.decode())
    second = keyring.add("panel", "control", force=True)
    assert second.public != first.public
    assert [(c.name, c.right) for c, _ in keyring.clients()] == [("panel", "control")]


def test_what_a_client_may_do_is_changed_without_another_key(keyring):
    # it took --force, which replaced the key: the client was shut out until it had the new one
    first = keyring.add("panel", "listen")
    secret = first.secret_file.read_bytes()
    for right in ("control", "listen"):
        changed = keyring.add("panel", right)
        assert (changed.client.right, changed.public, changed.secret_file) == (right, first.public, None)
        assert [(c.right, c.path, key) for c, key in keyring.clients()] == [(right, changed.client.path, first.public)]
    assert first.secret_file.read_bytes() == secret


def test_a_change_that_was_killed_can_be_made_again(keyring):
    first = keyring.add("panel", "listen")
    path = keyring.add("panel", "control").client.path
    first.client.path.write_bytes(path.read_bytes())  # in both places: it may control
    assert keyring.add("panel", "listen").client.path == first.client.path
    assert not path.exists()


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 65, "a\n"])
def test_names_lead_nowhere(keyring, name):
    with pytest.raises(UsageError):
        keyring.add(name, "listen")
    with pytest.raises(UsageError):
        keyring.remove(name)


def test_without_init_the_fix_is_named(tmp_path):
    with pytest.raises(ConfigError, match="edged keys init"):
        Keyring(tmp_path).add("panel", "listen")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(ConfigError, match="keys"):
        Keyring(tmp_path / "keys").init(force=False)


def _refuse(*_, **__):
    raise PermissionError(13, "Permission denied", "/keys")


@pytest.mark.parametrize("ask", [Keyring.clients, Keyring.public, lambda keyring: keyring.remove("panel"),
                                 lambda keyring: keyring.add("panel", "listen")])  # fmt: skip
def test_whoever_may_not_look_into_the_place_is_told_so(keyring, monkeypatch, ask):
    """`edged keys list` without sudo ended with a traceback."""
    monkeypatch.setattr(Path, "exists", _refuse)
    with pytest.raises(ConfigError, match="use sudo"):
        ask(keyring)
