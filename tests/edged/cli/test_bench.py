"""`edged bench` from end to end, and what is left of it when it is interrupted."""

import json

import pytest

from edged.bench import run
from edged.bench.processes import Memory
from edged.bench.rehearsal import RehearsalError, Rehearsed
from edged.cli.bench import disturbance_line, show
from tests.fakes.commandline import edged  # noqa: F401 - a fixture

CONFIG = """
state_dir: {state}
devices: {{mic: {{source: microphone, channels: 2}}}}
streams:
  press: {{device: mic, monitors: [anomaly]}}
  hall: {{device: mic, channel: 1, monitors: [anomaly]}}
"""
SEEN = Rehearsed(
    2, 8.0, 0.4, 0.02, 0.01, 0.5, Memory(180.0, 190.0, 150.0), Memory(30.0, 30.0, 16.0), (0.01, 0.02), 0, 0.0
)  # fmt: skip


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "edged.yaml"
    path.write_text(CONFIG.format(state=tmp_path / "state"), encoding="utf-8")
    return path


@pytest.fixture
def short(monkeypatch):
    """No daemon: it takes the time of the longest segment, and has tests of its own."""
    monkeypatch.setattr(run, "rehearse", lambda *_: SEEN)


def test_a_configuration_is_measured_and_its_capacity_told(edged, config, short):  # noqa: F811
    result = edged("bench", "--config", config, "--seconds", 5, "--json")
    assert result.code == 0
    found = result.json
    assert found["interrupted"] is False
    assert found["streams"]["stand_in_references"] == ["press/anomaly", "hall/anomaly"]
    assert [one["monitor"] for one in found["stages"]] == ["anomaly"]  # both streams are alike
    (capture,) = found["capture"]
    assert capture["streams"] == 2
    (capacity,) = found["capacity"]
    assert capacity["kind"] == "this configuration"
    assert capacity["is_rehearsed"]
    assert capacity["percent_of_core_per_stream"] == pytest.approx(2.5)  # as the daemon was seen
    assert 1 < capacity["keeps_up_with_streams"]["at_least"] <= capacity["keeps_up_with_streams"]["at_most"]
    assert capacity["limiting_stage"]
    assert {one["runs_on"] for one in found["networks"]} >= {"CPUExecutionProvider"}
    assert found["rehearsal"]["score_delay_ms"] == {"p50": 15.0, "p99": 19.9}
    assert found["machine"]["cpu"]
    assert "measuring: " in result.err


def test_who_interrupts_it_keeps_what_was_measured(edged, config, monkeypatch):  # noqa: F811
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "rehearse", interrupt)
    result = edged("bench", "--config", config, "--seconds", 5)
    assert result.code == 130
    assert "interrupted" in result.err
    assert "anomaly: embedding" in result.out or "features" in result.out
    assert "at least" in result.out  # the load without a daemon in real time


def test_an_error_takes_nothing_of_what_was_measured(edged, config, monkeypatch):  # noqa: F811
    """A daemon that did not start at the end took the figures of an hour with it."""

    def fail(*_):
        raise RehearsalError("the bench's daemon does not start: no room")

    monkeypatch.setattr(run, "rehearse", fail)
    result = edged("bench", "--config", config, "--seconds", 5, "--json")
    assert result.code == 1
    assert "does not start: no room" in result.err
    assert result.json["interrupted"]
    assert result.json["stages"]
    assert result.json["capacity"][0]["is_rehearsed"] is False


def test_a_configuration_without_streams_is_refused(edged, tmp_path):  # noqa: F811
    (tmp_path / "empty.yaml").write_text("devices: {}\n", encoding="utf-8")
    assert edged("bench", "--config", tmp_path / "empty.yaml").code == 78
    assert edged("bench", "--config", tmp_path / "nowhere.yaml").code == 78
    assert edged("bench", "--seconds", 1).code == 2


def test_whatever_was_found_can_be_shown(capsys):
    show({})
    show(json.loads('{"machine": {}, "networks": [], "stages": [], "capacity": []}'))
    assert "machine" in capsys.readouterr().out


def test_what_disturbed_is_said_in_a_line():
    calm = {
        "throttle_counts": {}, "cooling_at_work": [], "hottest_celsius": {"before": None, "after": None},
        "others_busy_cores": 0.1, "stolen_percent": 0.0, "waited_percent": None,
    }  # fmt: skip
    assert disturbance_line(calm) == "no throttling seen, others kept 0.1 cores busy"
    hot = calm | {
        "throttle_counts": {"cpu0": 3}, "cooling_at_work": ["cooling_device0"],
        "hottest_celsius": {"before": 60.0, "after": 92.5}, "stolen_percent": 2.0, "waited_percent": 12.0,
    }  # fmt: skip
    line = disturbance_line(hot)
    assert line.startswith("throttled: cpu0 +3, cooling_device0, hottest 92.5 °C")
    assert "waited for a core 12 %" in line
    assert "2 % stolen" in line
