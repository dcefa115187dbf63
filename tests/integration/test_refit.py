"""A daemon whose configuration asks for other back ends keeps what is enrolled, says so, and refits when told."""

from __future__ import annotations

import json

import soundfile

from tests.integration.helpers import RATE_HZ, hum, receive_until


def test_another_scoring_is_advised_and_applied_without_a_restart(plant, normal_clips, tmp_path):
    soundfile.write(tmp_path / "day.wav", hum(6.0, 50), RATE_HZ, subtype="FLOAT")
    plant.add("press", {"source": "file", "path": str(tmp_path / "day.wav"), "speed": 4.0, "loop": True})
    plant.enroll("press", normal_clips)
    plant.settings["streams"]["press"]["monitors"]["anomaly"]["scoring"] = {"statistics": "lof"}
    with plant.daemon() as process, plant.client(process) as client, plant.subscriber() as subscriber:
        said = receive_until(subscriber, lambda event: event.get("state") == "outdated")[-1]
        assert (said["stream"], said["subject"]) == ("press", "bank")
        assert "edged references refit --stream press" in said["reason"]
        assert receive_until(subscriber, lambda event: event["kind"] == "score")[-1]["bank"] == 1
        assert "'default', which stays in use" in client.call("status")["streams"]["press"]["advice"]["anomaly"]
        report = json.loads(plant.call("references", "refit", "--stream", "press", "--json"))
        assert (report["version"], report["scoring"], report["changed"]) == (2, "statistics: lof", True)
        receive_until(subscriber, lambda event: event["kind"] == "score" and event["bank"] == 2)
        assert client.call("status")["streams"]["press"]["advice"] == {}
        client.call("stop")
        assert process.wait(5.0) == 0
    assert "the configuration says 'statistics: lof'" in (plant.directory / "log").read_text()
