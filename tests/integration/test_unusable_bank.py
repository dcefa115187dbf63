"""A bank of another bundle (after an upgrade, say) silences its own monitor, visibly, and nothing else."""

from __future__ import annotations

import soundfile

from edged.events.journal import read_journal
from edged.references.store import BankStore
from tests.integration.helpers import RATE_HZ, hum


def test_the_daemon_runs_on_and_says_which_references_it_cannot_use(plant, normal_clips, tmp_path):
    soundfile.write(tmp_path / "day.wav", hum(6.0, 50), RATE_HZ, subtype="FLOAT")
    for stream in ("fan", "press"):
        plant.add(stream, {"source": "file", "path": str(tmp_path / "day.wav"), "speed": 0})
        plant.call("enroll", "--clips", str(normal_clips), "--stream", stream)
    with BankStore(plant.config.state_path) as store:
        stored = store.load_active("fan", "anomaly")
        facts = dict(stored.facts) | {"bundle_digest": "0" * 64, "vectors_digest": "0" * 64}
        store.commit("fan", "anomaly", facts, stored.arrays, reason="another bundle", based_on=1)
    plant.settings["exit_when_done"] = True
    done = plant.run("run")
    assert done.returncode == 0, done.stderr.decode()
    events = list(read_journal(plant.config.state_path))
    unusable = [event for event in events if event.get("state") == "unusable"]
    assert [event["stream"] for event in unusable] == ["fan"]
    assert "enrolled with bundle" in unusable[0]["reason"]
    assert any(event["stream"] == "press" and event["kind"] == "status" for event in events)
