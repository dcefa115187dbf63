"""References that are removed while an alarm or a drift stands: it ends with the reason, on a running daemon."""

import numpy as np
import soundfile

from tests.integration.helpers import RATE_HZ, hum, receive_until


def test_an_alarm_is_cleared_when_its_references_are_removed(plant, normal_clips, tmp_path):
    day = np.concatenate([hum(8, 100), hum(60, 101, fault=True)])
    soundfile.write(tmp_path / "day.wav", day, RATE_HZ, subtype="PCM_16")
    plant.add("press", {"source": "file", "path": str(tmp_path / "day.wav"), "speed": 4.0, "loop": True})
    plant.enroll("press", normal_clips)
    with plant.daemon() as process, plant.client(process) as client, plant.subscriber() as subscriber:
        onset = receive_until(subscriber, lambda event: event["kind"] == "onset")[-1]
        plant.call("references", "remove", "--stream", "press")
        cleared = receive_until(subscriber, lambda event: event["kind"] == "cleared")[-1]
        assert cleared["onset_s"] == onset["onset_s"]
        assert cleared["details"]["reason"] == "references removed"
        assert cleared["bank"] == onset["bank"] == 1
        plant.call("references", "rollback", "--stream", "press")
        again = receive_until(subscriber, lambda event: event["kind"] == "onset")[-1]
        assert again["onset_s"] > onset["onset_s"]
        client.call("stop")
        assert process.wait(10.0) == 0
    kinds = [event["kind"] for event in plant.journal() if event["kind"] in {"onset", "cleared"}]
    assert kinds[:3] == ["onset", "cleared", "onset"]
