"""Each check of edged's own files finds what it is for, and says how to mend it."""

import os
import shutil

import pytest

from edged import __version__
from edged.compile.engines import EngineRecord, EngineStore, Hardware
from edged.config import Config
from edged.doctor import installation
from edged.doctor.finding import Host
from edged.doctor.run import checks, examine
from edged.embed.bundle import load_bundle
from edged.errors import AcceleratorError
from edged.references.store import BankStore
from edged.security.keyring import Keyring
from edged.state import DATABASE_NAME
from tests.fakes.commandline import edged  # noqa: F401 - a fixture

ORIN = Hardware("10.3.0", 12060, "Orin", "8.7")


@pytest.fixture
def settings(tmp_path):
    monitors = {"monitors": ["keyword"], "device": "mic"}
    return {
        "state_dir": str(tmp_path / "state"), "streams": {"hall": monitors},
        "devices": {"mic": {"source": "file", "path": str(tmp_path / "x.wav")}},
    }  # fmt: skip


@pytest.fixture
def config(settings, tmp_path):
    (tmp_path / "state").mkdir()
    return Config.model_validate(settings)


def levels(findings):
    return [finding.level for finding in findings]


def test_a_state_directory_without_room_or_right_is_told_of(config, monkeypatch):
    assert levels(installation.state_directory(config, lambda _: 1 << 40)) == ["ok"]
    assert levels(installation.state_directory(config, lambda _: 100 << 20)) == ["note"]
    (full,) = installation.state_directory(config, lambda _: 1 << 20)
    assert (full.level, full.fix) == ("wrong", "make room")
    monkeypatch.setattr(installation.os, "access", lambda *_: False)
    assert levels(installation.state_directory(config)) == ["wrong"]
    config.state_path.rmdir()
    assert levels(installation.state_directory(config)) == ["note"]


def test_a_damaged_database_is_found(config):
    assert levels(installation.database(config)) == ["note"]
    with BankStore(config.state_path):
        pass
    assert levels(installation.database(config)) == ["ok"]
    path = config.state_path / DATABASE_NAME
    (config.state_path / f"{DATABASE_NAME}.damaged-20260131T130000Z").touch()
    assert levels(installation.database(config)) == ["note"]
    path.write_bytes(b"SQLite format 3\0" + os.urandom(8192))
    for companion in config.state_path.glob(f"{DATABASE_NAME}-*"):
        companion.unlink()
    (found,) = installation.database(config)
    assert found.level == "wrong"
    assert "restart the daemon" in found.fix


def test_an_altered_bundle_is_found(settings, config, tmp_path):
    (sound,) = installation.bundles(config)
    assert sound.level == "ok"
    directory = tmp_path / "bundle"
    shutil.copytree(installation.Assembly(config).bundle("hall", "keyword").directory, directory)
    with (directory / "model.onnx").open("ab") as handle:
        handle.write(b"x")
    settings["streams"]["hall"] = {"device": "mic", "monitors": {"keyword": {"bundle": str(directory)}}}
    (found,) = installation.bundles(Config.model_validate(settings))
    assert found.level == "wrong"
    assert found.fix


def test_a_monitor_without_references_or_with_unusable_ones_is_found(config):
    (nothing,) = installation.references(config)
    assert "edged enroll --clips DIR --stream hall --keyword WORD" in nothing.fix
    with BankStore(config.state_path) as store:
        store.commit("hall", "keyword", {"bundle": "another"}, {}, reason="enrol", based_on=0)
    (unusable,) = installation.references(config)
    assert unusable.level == "wrong"
    assert "nothing is enrolled" not in unusable.text


def files(directory):
    """All but the index of the write-ahead log: SQLite's readers stand in it, and make it anew after a crash."""
    index = f"{DATABASE_NAME}-shm"
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in directory.iterdir()
            if path.name != index}  # fmt: skip


def check_looking_changes_nothing(config):
    before = files(config.state_path)
    found = installation.database(config) + installation.references(config)
    assert files(config.state_path) == before
    assert levels(found) == ["ok", "wrong"]
    assert "nothing is enrolled" not in found[1].text


def test_looking_changes_no_file_of_the_state(config, tmp_path):
    """It left a log and its index beside a database at rest, and ended the log of a daemon that was killed."""
    with BankStore(config.state_path) as store:
        store.commit("hall", "keyword", {"bundle": "another"}, {}, reason="enrol", based_on=0)
        check_looking_changes_nothing(config)
        shutil.copytree(config.state_path, tmp_path / "killed")
    check_looking_changes_nothing(config)
    assert [path.name for path in config.state_path.iterdir()] == [DATABASE_NAME]
    check_looking_changes_nothing(config.model_copy(update={"state_dir": tmp_path / "killed"}))


def test_keys_that_others_may_read_or_that_lie_about_are_found(settings, config, tmp_path):
    assert levels(installation.keys(config)) == ["ok"]
    keyring = Keyring(tmp_path / "keys")
    keyring.init(force=False)
    settings["security"] = {"server_secret_key": str(keyring.server_secret), "allowed_clients": str(keyring.allowed)}
    secured = Config.model_validate(settings)
    assert levels(installation.keys(secured)) == ["ok"]
    keyring.add("panel", "listen")
    (left,) = installation.keys(secured)
    assert (left.level, "panel.key_secret" in left.text) == ("note", True)
    keyring.server_secret.chmod(0o644)
    (open_to_all,) = installation.keys(secured)
    assert (open_to_all.level, open_to_all.fix[:9]) == ("wrong", "chmod 600")


def test_a_brokers_password_that_others_may_read_is_found(settings, tmp_path):
    password = tmp_path / "password"
    password.write_text("secret")
    password.chmod(0o644)
    settings["mqtt"] = {"host": "broker.example", "user": "x", "password_file": str(password)}
    (found,) = installation.mqtt_secrets(Config.model_validate(settings))
    assert (found.level, found.fix[:9]) == ("wrong", "chmod 600")
    password.chmod(0o600)
    assert levels(installation.mqtt_secrets(Config.model_validate(settings))) == ["ok"]
    assert installation.mqtt_secrets(Config()) == []


def test_a_daemon_that_does_not_answer_is_found(config):
    (found,) = installation.daemon(config)
    assert found.level == "wrong"
    assert "systemctl start edged" in found.fix


def answering(status):
    class Client:
        def __init__(self, *_, **__): ...
        def __enter__(self):
            return self

        def __exit__(self, *_): ...
        def call(self, _verb):
            return status

    return Client


def test_a_running_daemons_troubles_are_told(config, monkeypatch):
    status = {
        "version": __version__, "uptime_s": 7200.0, "storage": {"state": "low", "reason": "3 MiB free"},
        "devices": {"mic": {"state": "waiting", "reason": "is not there"}},
        "streams": {"hall": {"input": "flat", "samples": {"keyword": {"lost": 160}}}},
    }  # fmt: skip
    monkeypatch.setattr(installation, "ControlClient", answering(status))
    assert levels(installation.daemon(config)) == ["ok", "wrong", "wrong", "note", "wrong"]


def test_a_pipe_that_waits_for_its_writer_and_a_file_that_has_ended_are_told(config, monkeypatch):
    devices = {
        "pipe": {"state": "starting", "reason": "/run/card: its writer has closed it"},
        "new": {"state": "starting", "reason": ""},
        "file": {"state": "ended", "reason": "16000 Hz, 1 channels"},
    }
    status = {"version": __version__, "uptime_s": 7200.0, "storage": {}, "devices": devices, "streams": {}}
    monkeypatch.setattr(installation, "ControlClient", answering(status))
    _, pipe, file = installation.daemon(config)
    assert (pipe.level, "its writer has closed it" in pipe.text) == ("note", True)
    assert (file.level, "file has ended" in file.text) == ("note", True)


def test_a_daemon_that_runs_on_after_an_upgrade_is_found(config, monkeypatch):
    """What it does not tell yet ended the command with a traceback."""
    monkeypatch.setattr(installation, "ControlClient", answering({"version": "0.0.1", "uptime_s": 7200.0}))
    (found,) = installation.daemon(config)
    assert (found.level, found.fix) == ("wrong", "sudo systemctl restart edged")


def test_engines_that_are_missing_or_for_other_hardware_are_found(config):
    def refuse():
        raise AcceleratorError("no GPU", fix="buy one")

    assert levels(installation.engines(config, refuse)) == ["note"]
    (none,) = installation.engines(config, lambda: ORIN)
    assert (none.level, none.fix) == ("note", "edged compile")
    bundle = load_bundle(installation.Assembly(config).bundle("hall", "keyword").directory)
    facts = {"source": "s", "precision": "fp16", "typing": "strong", "profile": (1, 2, 4), "parity": {"cosine": 0.9999}}
    record = EngineRecord(network=bundle.vectors_digest, hardware=ORIN, **facts)
    EngineStore(config.state_path).install(bundle, record, b"plan")
    (sound,) = installation.engines(config, lambda: ORIN)
    assert (sound.level, "cosine 1" in sound.text) == ("ok", True)
    (other,) = installation.engines(config, lambda: Hardware("8.6.2", 12060, "Orin", "8.7"))
    assert (other.level, "tensorrt 10.3.0 instead of 8.6.2" in other.text) == ("wrong", True)


def test_every_finding_that_is_wrong_names_its_fix_and_a_bad_configuration_is_one(tmp_path, config):
    found = examine(None, config.state_path, Host(tmp_path, lambda _c: None))
    assert "wrong" in levels(found)
    assert all(finding.fix for finding in found if finding.level == "wrong")
    assert len(checks(config, Host())) == 15
    bad = tmp_path / "bad.yaml"
    bad.write_text("streamz: {}")
    assert "did you mean 'streams'" in examine(bad, None)[-1].text


def test_the_command_ends_with_1_when_something_is_wrong(tmp_path, edged):  # noqa: F811
    done = edged("doctor", "--json", "--state", tmp_path / "state")
    assert done.code == 1
    assert not done.json["ok"]
    wrong = [one["check"] for one in done.json["findings"] if one["level"] == "wrong"]
    assert {"configuration", "daemon"} <= set(wrong)
    plain = edged("doctor", "--state", tmp_path / "state")
    assert "->" in plain.out
    assert not (tmp_path / "state").exists()
