"""What a running daemon refuses to begin anew with, and what a reload does not take over."""

from __future__ import annotations

from typing import Any

import pytest

from edged.config import Config
from edged.errors import ConfigError
from edged.runtime.preflight import needs_restart, refuse_unusable


def config(**changes: Any) -> Config:
    monitors = {"anomaly": {"threshold": 4.0}, "keyword": {}}
    usual: dict[str, Any] = {
        "devices": {"hall": {"source": "pcm"}},
        "streams": {"press-3": {"device": "hall", "monitors": monitors}},
    }
    return Config.model_validate(usual | changes)


def stream(**monitors: Any) -> dict[str, Any]:
    return {"device": "hall", "monitors": monitors}


def test_a_usable_one_passes() -> None:
    refuse_unusable(config())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"devices": {}, "streams": {}}, "no streams are configured"),
        ({"events": {"bind": "tcp://0.0.0.0:9751"}}, "without keys"),
        ({"control": {"bind": "tcp://0.0.0.0:9752"}}, "without keys"),
        ({"streams": {"press-3": stream(anomaly={"bundle": "/nowhere"})}}, "/nowhere"),
        ({"streams": {"press-3": stream(keyword={"bundle": "anomaly"})}}, "is a anomaly bundle"),
        ({"security": {"server_secret_key": "/nowhere/key", "allowed_clients": "/nowhere"}}, "is not there"),
    ],
)
def test_what_would_end_the_next_start_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        refuse_unusable(config(**changes))


def test_thresholds_need_no_restart() -> None:
    other = stream(anomaly={"threshold": 5.0}, keyword={"false_alarms_per_hour": 0.5})
    assert needs_restart(config(), config(streams={"press-3": other})) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"streams": {"press-4": stream(anomaly={})}}, ["streams.press-3", "streams.press-4"]),
        ({"streams": {"press-3": stream(anomaly={"threshold": 4.0})}}, ["streams.press-3"]),
        ({"events": {"heartbeat_s": 3.0}}, ["events"]),
        ({"devices": {"hall": {"source": "pcm"}, "yard": {"source": "pcm"}}}, ["devices.yard"]),
        ({"state_dir": "/elsewhere"}, ["state_dir"]),
    ],
)
def test_what_needs_a_restart_is_named(changes: dict[str, Any], expected: list[str]) -> None:
    assert needs_restart(config(), config(**changes)) == expected
