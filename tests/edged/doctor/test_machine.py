"""Each check of the computer finds what it is for, and says how to mend it."""

import pytest

from edged.capture.source import InputDevice
from edged.config import Config
from edged.doctor import machine
from edged.doctor.finding import Host, run_program
from edged.errors import DeviceError

MICROPHONE = Config.model_validate(
    {"devices": {"mic": {"source": "microphone", "name": "hw:CARD=Hall", "channels": 2}}}
)
UNIT = "LoadState={}\nUnitFileState={}\nActiveState={}\nUser=edged\nEnvironment=PYTHONFAULTHANDLER=1\n"


def levels(findings):
    return [finding.level for finding in findings]


def answering(text, code=0):
    return lambda _command: (code, text)


def refuse():
    raise DeviceError("the PortAudio library is missing", fix="apt install libportaudio2")


def test_an_old_python_is_wrong():
    assert levels(machine.python_version((3, 9, 18))) == ["wrong"]
    assert levels(machine.python_version((3, 11, 2))) == ["ok"]


@pytest.mark.parametrize(
    ("line", "found"),
    [("numpy>=1.24", "ok"), ("numpy>=99.1", "older than 99.1"), ("no-such-package>=1.0", "is missing"),
     ('no-such-package>=1.0; extra == "microphone"', "is missing"), ('no-such-package>=1; extra == "train"', "ok")],
)  # fmt: skip
def test_packages_that_are_missing_or_old_are_wrong_where_they_are_needed(line, found):
    (finding,) = machine.packages(MICROPHONE, [line])
    assert (
        (finding.level == "ok") if found == "ok" else (found in finding.text and finding.fix.startswith("pip install"))
    )


def test_versions_of_unequal_length_are_compared(monkeypatch):
    """Version 42 was taken for older than 42.0."""
    monkeypatch.setattr(machine.metadata, "version", lambda _: "42")
    assert levels(machine.packages(Config(), ["cryptography>=42.0"])) == ["ok"]
    assert levels(machine.packages(Config(), ["cryptography>=42.0.1"])) == ["wrong"]


def test_microphones_of_the_configuration_must_be_there_with_their_channels():
    hall = InputDevice("Hall: USB (hw:1,0)", "hw:CARD=Hall", 2, 48000)
    assert levels(machine.microphones(MICROPHONE, lambda: [hall])) == ["ok"]
    (absent,) = machine.microphones(MICROPHONE, lambda: [InputDevice("Other", "Other", 1, 48000)])
    assert absent.level == "wrong"
    assert "devices.mic.name" in absent.fix
    (narrow,) = machine.microphones(MICROPHONE, lambda: [InputDevice("Hall", "hw:CARD=Hall", 1, 48000)])
    assert "2 wanted" in narrow.text
    (portaudio,) = machine.microphones(MICROPHONE, refuse)
    assert (portaudio.level, portaudio.fix) == ("wrong", "apt install libportaudio2")


def test_sound_cards_that_this_user_may_not_open_are_wrong(tmp_path, monkeypatch):
    host = Host(tmp_path)
    assert levels(machine.sound_permissions(MICROPHONE, host)) == ["note"]
    (tmp_path / "dev/snd").mkdir(parents=True)
    (tmp_path / "dev/snd/pcmC0D0c").touch()
    assert levels(machine.sound_permissions(MICROPHONE, host)) == ["ok"]
    monkeypatch.setattr(machine.os, "access", lambda *_: False)
    (closed,) = machine.sound_permissions(MICROPHONE, host)
    assert "usermod -aG audio" in closed.fix
    assert machine.sound_permissions(Config(), host) == []


@pytest.mark.parametrize(
    ("run", "level"),
    [(answering("yes\n"), "ok"), (answering("no\n"), "wrong"), (lambda _c: None, "note"), (answering("", 1), "note")],
)
def test_a_clock_that_nobody_sets_is_wrong(run, level):
    assert levels(machine.clock_synchronised(Host(run=run))) == [level]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [(("loaded", "enabled", "active"), ["ok"]), (("loaded", "disabled", "failed"), ["wrong", "wrong"]),
     (("not-found", "", "inactive"), ["note"])],
)  # fmt: skip
def test_the_service_is_installed_enabled_and_active(facts, expected):
    found = machine.systemd_unit(Host(run=answering(UNIT.format(*facts))))
    assert levels(found) == expected
    assert levels(machine.systemd_unit(Host(run=lambda _c: None))) == ["note"]


def test_a_jetson_below_its_fastest_mode_is_told_of_and_other_computers_are_not(tmp_path):
    assert machine.jetson_power_mode(Host(tmp_path, answering("NV Power Mode: 15W\n0\n"))) == []
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").touch()
    assert levels(machine.jetson_power_mode(Host(tmp_path, answering("NV Power Mode: MAXN\n0\n")))) == ["ok"]
    (slow,) = machine.jetson_power_mode(Host(tmp_path, answering("NV Power Mode: 15W\n0\n")))
    assert (slow.level, slow.text[:3]) == ("note", "15W")
    assert levels(machine.jetson_power_mode(Host(tmp_path, lambda _c: None))) == ["note"]


def test_programs_of_the_system_are_asked_and_may_be_absent():
    assert run_program(["sh", "-c", "echo x; exit 3"]) == (3, "x\n")
    assert run_program(["no-such-program"]) is None
