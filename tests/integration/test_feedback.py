"""An operator's word about an alarm of the running daemon: taken at once, without a restart, and taken back."""

import json

import numpy as np
import soundfile

from tests.integration.helpers import RATE_HZ, hum, receive_until


def test_feedback_on_a_running_daemon_and_without_it(plant, normal_clips, tmp_path):
    day = np.concatenate([hum(8, 100), hum(8, 101, fault=True), hum(8, 102)])
    soundfile.write(tmp_path / "day.wav", day, RATE_HZ, subtype="PCM_16")
    plant.add("press", {"source": "file", "path": str(tmp_path / "day.wav"), "speed": 8.0, "loop": True})
    plant.settings["clips"] = {"pre_roll_s": 1.0, "post_roll_s": 1.0, "keep_free_mib": 0}
    del plant.settings["streams"]["press"]["monitors"]["anomaly"]["threshold"]
    plant.enroll("press", normal_clips)
    with plant.daemon() as process, plant.client(process) as client, plant.subscriber() as subscriber:
        onset = receive_until(subscriber, lambda event: event["kind"] == "onset")[-1]
        while client.call("status")["events"]["clips_saved"] == 0:
            receive_until(subscriber, lambda event: event["kind"] == "heartbeat")
        request = {"event": onset["id"], "verdict": "normal", "force": True}
        assert client.call("feedback", request | {"dry_run": True}, timeout_s=60.0)["version"] == 1
        report = json.loads(plant.call("feedback", onset["id"], "anomaly", "--json"))
        assert (report["version"], report["is_respected"]) == (2, True)
        receive_until(subscriber, lambda event: event["kind"] == "score" and event["bank"] == 2)
        refused = plant.run("enroll", "--event", onset["id"], "--domain", "odd", "--force")
        assert (refused.returncode, b"labelled at event" in refused.stderr) == (1, True)

        client.call("references.rollback", {"stream": "press"})
        answer = client.call("feedback", request, timeout_s=60.0)
        assert (answer["version"], answer["label"]) == (3, "target")
        receive_until(subscriber, lambda event: event["kind"] == "score" and event["bank"] == 3)
        assert answer["clips"][0]["name"] == f"event {onset['id']}"
        client.call("stop")
        assert process.wait(10.0) == 0
    plant.call("references", "rollback", "--stream", "press")
    offline = plant.call("feedback", onset["id"], "anomaly")
    assert "kept, version 4" in offline
    assert "anomaly labelled at event" in plant.call("references", "--stream", "press")
