"""Settings: defaults are valid, bounds hold, sections are frozen, where things lie by default."""

from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from edged import config as settings
from edged.config import Config, MonitorsSettings
from edged.configfile import parse_config
from edged.decide.thresholds import ALARM_METHODS
from edged.errors import ConfigError

FILE = {"source": "file", "path": "a.wav"}


def parsed(**values):
    return parse_config(values, "test")


def test_nothing_is_a_valid_configuration():
    config = parsed()
    assert config.devices == {}
    assert config.capture.block_ms == 40


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        parsed().capture.block_ms = 20


@pytest.mark.parametrize(
    ("monitors", "anomaly", "keyword"),
    [
        (["anomaly"], True, False),
        (["anomaly", "keyword"], True, True),
        ({"keyword": None}, False, True),
        ({"anomaly": {"threshold": 3.5}}, True, False),
    ],
)
def test_monitors_may_be_bare_names(monitors, anomaly, keyword):
    value = MonitorsSettings.model_validate(monitors)
    assert (value.anomaly is not None, value.keyword is not None) == (anomaly, keyword)


@pytest.mark.parametrize("monitors", [[], {}, ["anomaly", "other"], [3], "anomaly", None])
def test_a_stream_without_a_known_monitor_is_refused(monitors):
    with pytest.raises(ConfigError, match=r"streams\.s\.monitors"):
        parsed(devices={"d": FILE}, streams={"s": {"device": "d", "monitors": monitors}})


@pytest.mark.parametrize("name", ["", "../up", "a b", "-x", "x" * 49, "straße", "a.b", "a\n"])
def test_names_that_cannot_be_topics_are_refused(name):
    with pytest.raises(ConfigError, match="devices"):
        parsed(devices={name: FILE})


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("capture", {"block_ms": 4}),
        ("capture", {"block_ms": float("nan")}),
        ("capture", {"restart_max_s": float("inf")}),
        ("capture", {"restart_max_s": "soon"}),
        ("events", {"heartbeat_s": 0}),
        ("metrics", {"port": 65536}),
        ("control", {"max_message_bytes": 1}),
    ],
)
def test_values_out_of_bounds_name_their_key(section, values):
    (key,) = values
    with pytest.raises(ConfigError, match=f"{section}.{key}"):
        parsed(**{section: values})


def test_an_onset_cannot_need_more_segments_than_its_window():
    anomaly = {"onset_segments": 4, "onset_window": 3}
    with pytest.raises(ConfigError, match="onset_segments cannot exceed onset_window"):
        parsed(devices={"d": FILE}, streams={"s": {"device": "d", "monitors": {"anomaly": anomaly}}})


def test_sockets_stand_in_the_runtime_directory(tmp_path):
    config = parsed(state_dir=str(tmp_path / "state"), runtime_dir=str(tmp_path / "run"))
    assert config.events_endpoint == f"ipc://{tmp_path}/run/events.sock"
    assert config.control_endpoint == f"ipc://{tmp_path}/run/control.sock"
    assert parsed(events={"bind": "ipc:///run/x"}).events_endpoint == "ipc:///run/x"
    for_others = parsed(runtime_dir=str(tmp_path), events={"bind": "tcp://127.0.0.1:5555"})
    assert for_others.events_endpoint == f"ipc://{tmp_path}/events.sock"


def test_sockets_stand_beside_a_state_of_ones_own(tmp_path):
    assert parsed(state_dir=str(tmp_path)).runtime_path == tmp_path
    system = parsed(state_dir=str(settings.SYSTEM_STATE_DIR))
    assert system.runtime_path == settings.SYSTEM_RUNTIME_DIR


def test_the_state_of_a_user_is_in_her_home(monkeypatch, tmp_path):
    monkeypatch.setattr(settings.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(settings, "SYSTEM_STATE_DIR", tmp_path / "absent")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert Config().state_path == tmp_path / "xdg" / "edged"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Config().state_path == Path(tmp_path) / ".local" / "state" / "edged"


def test_a_socket_path_too_long_for_unix_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"events\.bind.*longer than 107 bytes; set a shorter runtime_dir"):
        parsed(runtime_dir=str(tmp_path / ("x" * 100)))


@pytest.mark.parametrize("address", ["192.0.2.1", "fe80::1", "10.0.0.1", "device.example"])
def test_a_metrics_page_that_others_reach_has_to_be_asked_for(address):
    with pytest.raises(ConfigError, match=r"metrics\.address: other computers"):
        parsed(metrics={"enabled": True, "address": address})
    assert parsed(metrics={"enabled": True, "address": address, "allow_remote": True})
    assert parsed(metrics={"enabled": False, "address": address})


@pytest.mark.parametrize("other", [{"false_alarms_per_day": 1.0}, {"threshold_method": "mst-mad"}])
def test_a_threshold_is_fixed_or_found_but_not_both(other):
    monitors = {"anomaly": {"threshold": 5.0, **other}}
    with pytest.raises(ConfigError, match="keep one of the two"):
        parsed(devices={"d": FILE}, streams={"s": {"device": "d", "monitors": monitors}})


def test_every_method_of_the_configuration_is_one_of_the_thresholds():
    assert set(get_args(settings.ThresholdMethod)) == set(ALARM_METHODS)


@pytest.mark.parametrize(("stall_s", "silent_s"), [(0.5, 0.3), (3.0, 1.8), (5.0, 3.0), (60.0, 3.0)])
def test_a_short_stall_time_of_an_older_configuration_is_still_taken(stall_s, silent_s):
    # 3 s and less were refused: `silent_after_s`, which nobody had written, was not shorter
    assert parsed(capture={"stall_timeout_s": stall_s}).capture.silent_s == pytest.approx(silent_s)


def test_a_microphone_is_given_up_before_its_child_is():
    assert parsed(capture={"silent_after_s": 1.0}).capture.silent_s == 1.0
    with pytest.raises(ConfigError, match="silent_after_s must be shorter than stall_timeout_s"):
        parsed(capture={"silent_after_s": 2.0, "stall_timeout_s": 2.0})
