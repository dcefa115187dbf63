import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from edged.config import MetricsSettings
from edged.errors import ConfigError
from edged.flow import Detection, Outcome, Scored
from edged.observe.metrics import Metrics
from edged.observe.page import FROM_STATUS, OBSERVED, table

BOOKS = {"received": 100, "scored": 80, "dropped": 5, "missing": 7, "lost": 12, "pending": 15}
STATUS = {
    "uptime_s": 5.5,
    "devices": {"mic": {"state": "running", "restarts": 3, "lost_frames": 11, "overruns": 2}},
    "streams": {
        "press-3": {
            "samples": {"anomaly": BOOKS}, "banks": {"anomaly": 4}, "queued": 160, "level_dbfs": -30.5, "input": "flat",
            "heard": 107, "overflowed": 5,
        }
    },
    "backends": {"anomaly:x": {"runs_on": "CPU", "reason": ""}},
    "storage": {"state": "low", "reason": "disk", "history_failures": {"thresholds": 3}},
    "events": {
        "last_seq": 9, "published": 8, "queued": 2, "dropped_telemetry": 6, "unjournalled": 1, "lost_from_journal": 0,
        "removed_from_journal": 4, "clips_saved": 7, "clips_lost": 1,
    },
    "security": {"open": 2, "refused": {"keys": 7}},
}  # fmt: skip


@pytest.fixture
def page():
    metrics = Metrics(lambda: STATUS)
    metrics.observe("embed", 0.003)
    onset = Detection("onset", 0, 1, 0, None, 9.0, 5.0)
    metrics.judged("press-3", "anomaly", Outcome((Scored(0, 1, 9.0, 5.0, ""),), (onset,)))
    return generate_latest(metrics.registry).decode()


def test_the_page_tells_everything_that_is_declared_and_nothing_else(page):
    families = text_string_to_metric_families(page)
    parsed = {family.name: family for family in families if not family.name.endswith("_created")}
    declared = {metric.name: metric for metric in (*FROM_STATUS.values(), *OBSERVED)}
    assert parsed.keys() == declared.keys()
    for name, family in parsed.items():
        assert family.type == declared[name].kind
        assert family.samples
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(declared[name].labels)


def test_the_daemons_status_becomes_metrics(page):
    for line in (
        'edged_samples_total{fate="scored",monitor="anomaly",stream="press-3"} 80.0',
        'edged_samples_total{fate="lost",monitor="anomaly",stream="press-3"} 12.0',
        'edged_bank_version{monitor="anomaly",stream="press-3"} 4.0',
        'edged_input_ok{stream="press-3"} 0.0',
        'edged_device_state{device="mic",state="running"} 1.0',
        'edged_device_state{device="mic",state="waiting"} 0.0',
        'edged_device_restarts_total{device="mic"} 3.0',
        'edged_stage_seconds_count{stage="embed"} 1.0',
        'edged_alarms_total{kind="onset",monitor="anomaly",stream="press-3"} 1.0',
        'edged_anomaly_score{stream="press-3"} 9.0',
        "edged_dropped_telemetry_total 6.0",
        "edged_safe_mode 0.0",
        'edged_history_failures_total{history="thresholds"} 3.0',
        "edged_storage_ok 0.0",
        "edged_last_seq 9.0",
        'edged_refused_total{what="keys"} 7.0',
        "edged_connections 2.0",
    ):
        assert line in page


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing: apt install prometheus")
def test_prometheus_own_tool_finds_no_fault_with_it(page):
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "_created" not in line]
    assert complaints == []


def test_the_readme_has_this_table():
    readme = (Path(__file__).resolve().parents[3] / "edged" / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"<!-- metrics: begin -->\n(.*?)\n<!-- metrics: end -->", readme, re.DOTALL)
    assert shown == table()


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
