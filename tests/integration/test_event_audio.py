"""From an alarm of the daemon to its sound, its reasons, and its references on another device."""

import json

import numpy as np
import pytest
import soundfile

from edged.capture.files import read_clip
from edged.events.clips import clip_origin, event_clip
from tests.integration.helpers import RATE_HZ, hum

ONSET_S = 20
SOUND = np.concatenate([hum(ONSET_S, 100), hum(8, 101, fault=True), hum(12, 102)])


@pytest.fixture
def alarmed(plant, tmp_path, normal_clips):
    """A plant whose daemon heard a fault, to the end; and its alarms."""
    soundfile.write(tmp_path / "day.wav", SOUND, RATE_HZ, subtype="PCM_16")
    plant.add("press", {"source": "file", "path": str(tmp_path / "day.wav"), "speed": 0})
    plant.settings["exit_when_done"] = True
    plant.settings["clips"] = {"pre_roll_s": 2.0, "post_roll_s": 3.0, "keep_free_mib": 0}
    plant.enroll("press", normal_clips)
    with plant.daemon() as process:
        assert process.wait(60) == 0, (plant.directory / "log").read_text()
    return plant, [event for event in plant.journal() if event["monitor"] == "anomaly"]


def test_the_sound_of_an_alarm_is_kept_and_explained(alarmed, tmp_path):
    plant, (onset, cleared) = alarmed
    path = event_clip(plant.config.state_path, onset["id"])
    assert event_clip(plant.config.state_path, cleared["id"]) == path
    origin = clip_origin(path)
    assert origin.sample_start == min(onset["sample_start"], round(onset["onset_s"] * RATE_HZ)) - 2 * RATE_HZ
    played, _ = soundfile.read(tmp_path / "day.wav", dtype="float32")
    end = onset["sample_end"] + 3 * RATE_HZ
    np.testing.assert_array_equal(read_clip(path), played[origin.sample_start : end])

    answer = json.loads(plant.call("explain", onset["id"], "--json", "--png", tmp_path / "why.png"))
    assert answer["score"] == pytest.approx(onset["score"], rel=0.01)
    assert answer["bands"][0]["from_hz"] <= 3100 <= answer["bands"][0]["to_hz"]
    assert answer["nearest"] == onset["details"]["nearest"]
    assert onset["details"]["bands"][0]["from_hz"] <= 3100 <= onset["details"]["bands"][0]["to_hz"]
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")
    assert b"strangest" in plant.run("explain", cleared["id"], "--no-png").stderr

    (line, _) = plant.call("score", "--stream", "press", "--jsonl", tmp_path / "day.wav").splitlines()
    assert json.loads(line)["details"] == onset["details"]


def test_what_cannot_be_explained_is_refused_with_the_reason(alarmed):
    plant, (onset, _) = alarmed
    status = next(event for event in plant.journal() if event["monitor"] == "status")
    assert b"no anomaly" in plant.run("explain", status["id"]).stderr
    assert b"no event" in plant.run("explain", "b-1").stderr
    event_clip(plant.config.state_path, onset["id"]).unlink()
    gone = plant.run("explain", onset["id"])
    assert (gone.returncode, b"no sound of it is kept" in gone.stderr) == (1, True)


def test_references_travel_through_running_daemons(plant, tmp_path, normal_clips):
    plant.add("press", {"source": "file", "path": str(normal_clips / "0.wav"), "loop": True})
    plant.add("saw", {"source": "file", "path": str(normal_clips / "1.wav"), "loop": True})
    plant.enroll("press", normal_clips)
    with plant.daemon() as process, plant.client(process) as client:
        archive = str(tmp_path / "press.bank")
        exported = plant.call("references", "export", "--stream", "press", "--out", archive, "--json")
        assert json.loads(exported)["version"] == 1
        checked = plant.call("references", "import", archive, "--stream", "saw", "--dry-run", "--json")
        assert json.loads(checked)["labels"] == {"source": 12}
        assert client.call("status", {})["streams"]["saw"]["banks"] == {"anomaly": 0}
        imported = plant.run("references", "import", archive, "--stream", "saw")
        assert b"imported, version 1" in imported.stdout
        assert b"edged references remove --stream saw" in imported.stderr
        assert "edged-ed25519:" in plant.call("references", "signer")
        client.call("stop", {})
        assert process.wait(30) == 0
    states = [event for event in plant.journal() if event.get("subject") == "bank" and event["stream"] == "saw"]
    assert [event["state"] for event in states] == ["1"]
