import urllib.request

import pytest
from prometheus_client import generate_latest

from edged.config import MetricsSettings
from edged.errors import ConfigError
from edged.observe.metrics import Metrics

BOOKS = {"received": 100, "scored": 80, "dropped": 5, "missing": 7, "lost": 12, "pending": 15}
STATUS = {
    "devices": {"mic": {"state": "running", "restarts": 3, "lost_frames": 480, "overruns": 2}},
    "streams": {
        "press-3": {
            "samples": {"anomaly": BOOKS}, "banks": {"anomaly": 4}, "queued": 160, "level_dbfs": -30.5, "input": "flat",
        }
    },
    "events": {"last_seq": 9, "published": 8},
    "security": {"open": 2, "refused": {"keys": 7}},
}  # fmt: skip


def test_the_daemons_status_becomes_metrics():
    metrics = Metrics(lambda: STATUS)
    metrics.observe("embed", 0.003)
    text = generate_latest(metrics.registry).decode()
    for line in (
        'edged_samples_total{fate="scored",monitor="anomaly",stream="press-3"} 80.0',
        'edged_samples_total{fate="missing",monitor="anomaly",stream="press-3"} 7.0',
        'edged_bank_version{monitor="anomaly",stream="press-3"} 4.0',
        'edged_input_ok{stream="press-3"} 0.0',
        'edged_device_running{device="mic"} 1.0',
        'edged_device_restarts_total{device="mic"} 3.0',
        'edged_device_lost_frames_total{device="mic"} 480.0',
        'edged_device_overruns_total{device="mic"} 2.0',
        'edged_device_state{device="mic",state="running"} 1.0',
        'edged_device_state{device="mic",state="absent"} 0.0',
        'edged_stage_seconds_count{stage="embed"} 1.0',
        "edged_events_last_seq 9.0",
        'edged_refused_total{what="keys"} 7.0',
        "edged_connections 2.0",
    ):
        assert line in text


def test_they_are_served_and_a_taken_port_is_a_clear_error():
    first, second = Metrics(lambda: STATUS), Metrics(lambda: STATUS)
    settings = MetricsSettings(enabled=True, port=19751)
    first.serve(settings)
    try:
        with urllib.request.urlopen("http://127.0.0.1:19751/metrics", timeout=10) as answer:
            assert b"edged_samples_total" in answer.read()
        with pytest.raises(ConfigError, match="19751"):
            second.serve(settings)
    finally:
        first.stop()
