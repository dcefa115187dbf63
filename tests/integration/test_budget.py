"""A budget of false alarms in the running daemon: announced, remembered, and changed without a restart."""

import signal

import soundfile
import yaml

from edged.references.history import ScoreHistory
from tests.integration.helpers import RATE_HZ, hum, receive_until


def test_a_daemon_says_what_a_budget_needs_and_takes_a_changed_one(plant, normal_clips, tmp_path):
    soundfile.write(tmp_path / "machine.wav", hum(30.0, 99), RATE_HZ, subtype="FLOAT")
    device = {"source": "file", "path": str(tmp_path / "machine.wav"), "loop": True, "speed": 4.0}
    plant.add("machine", device, {"anomaly": {"bundle": plant.bundle, "false_alarms_per_day": 0.5}})
    plant.enroll("machine", normal_clips)
    with plant.daemon() as process, plant.subscriber() as subscriber:
        client = plant.client(process)
        said = receive_until(subscriber, lambda event: event.get("subject") == "threshold")[-1]
        assert "not enough data yet: need about" in said["reason"]
        first = receive_until(subscriber, lambda event: event["kind"] == "score")[-1]
        assert said["state"] == f"{first['threshold']:.3f}"

        monitors = plant.settings["streams"]["machine"]["monitors"]
        monitors["anomaly"] = {"bundle": plant.bundle, "threshold": 77.0}
        plant.config_file.write_text(yaml.safe_dump(plant.settings), encoding="utf-8")
        assert client.call("reload", {})["changed"] == ["machine/threshold"]
        receive_until(subscriber, lambda event: event["kind"] == "score" and event["threshold"] == 77.0)
        assert client.call("reload", {})["changed"] == []

        monitors["anomaly"]["false_alarms_per_day"] = 1.0
        plant.config_file.write_text(yaml.safe_dump(plant.settings), encoding="utf-8")
        process.send_signal(signal.SIGHUP)  # refused: two sources of the threshold; the daemon goes on
        receive_until(subscriber, lambda event: event["kind"] == "score" and event["threshold"] == 77.0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10.0) == 0
    with ScoreHistory(plant.directory / "state") as history:
        heard = history.stretches("machine", "anomaly", 1)
    assert sum(len(stretch.scores) for stretch in heard) > 0
    assert 77.0 in {stretch.ceiling for stretch in heard}
