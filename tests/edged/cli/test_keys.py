"""`edged keys`, as an operator types it."""

import pytest
import yaml

from edged.cli import keys as module
from edged.configfile import parse_config
from edged.security.keys import read_pair
from tests.fakes.commandline import edged  # noqa: F401 - a fixture


@pytest.fixture
def state(tmp_path):
    return ("--state", tmp_path / "state")


def test_what_init_prints_is_a_configuration(edged, state, tmp_path):  # noqa: F811
    done = edged("keys", "init", *state)
    config = parse_config(yaml.safe_load(done.out), "printed")
    assert (
        read_pair(config.security.server_secret_key).public.decode()
        == edged("keys", "show", "--json", *state).json["server_public"]
    )
    assert config.security.allowed_clients.is_dir()
    assert str(module.CONTROL_PORT) in config.control.bind
    again = edged("keys", "init", *state)
    assert (again.code, again.out) == (0, done.out)
    assert "stays" in again.err


def test_what_add_prints_is_a_program(edged, state):  # noqa: F811
    edged("keys", "init", *state)
    done = edged("keys", "add", "panel", *state)
    compile(done.out, "printed", "exec")
    assert 'CurveClient("server.key", "panel.key_secret")' in done.out
    assert "copy" in done.err
    assert "panel may listen, once the daemon runs" in done.err


def test_clients_are_listed_with_what_they_may(edged, state):  # noqa: F811
    edged("keys", "init", *state)
    edged("keys", "add", "panel", *state)
    added = edged("keys", "add", "boss", "--control", "--json", *state).json
    listed = edged("keys", "list", "--json", *state).json
    assert [(one["name"], one["right"]) for one in listed] == [("boss", "control"), ("panel", "listen")]
    assert listed[0]["public"] == added["public"]
    assert "listen, control" in edged("keys", "list", *state).out
    assert edged("keys", "remove", "boss", "--json", *state).json == {"name": "boss", "live": False}
    assert "boss" not in edged("keys", "list", *state).out


@pytest.mark.parametrize(
    ("command", "message", "code"),
    [
        (("add", "panel"), "keys init", 78),
        (("list",), "keys init", 78),
        (("remove", "panel"), "no client 'panel'", 2),
    ],
)
def test_before_init_the_fix_is_named(edged, state, command, message, code):  # noqa: F811
    done = edged("keys", *command, *state)
    assert done.code == code
    assert message in done.err


def test_the_keys_of_the_configuration_are_kept_where_it_says(edged, tmp_path):  # noqa: F811
    config = tmp_path / "edged.yaml"
    config.write_text(
        f"state_dir: {tmp_path / 'state'}\n"
        f"security: {{server_secret_key: {tmp_path}/here/server.key_secret, allowed_clients: {tmp_path}/list}}\n"
        "control: {bind: 'tcp://0.0.0.0:4711'}\n"
    )
    assert edged("keys", "init", "--config", config).code == 0
    assert ":4711" in edged("keys", "add", "panel", "--config", config).out
    assert (tmp_path / "list" / "panel.key").exists()
    assert (tmp_path / "here" / "server.key_secret").exists()
