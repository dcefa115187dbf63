"""The whole daemon on a disk without room: every sample is scored, every alarm heard, and journalled later."""

import numpy as np
import pytest
import soundfile

from tests.faults.test_disk_full import fill, small_disk
from tests.integration.helpers import RATE_HZ, assert_books_balance, hum, receive_until


@pytest.fixture
def disk(plant):
    with small_disk("4m") as (disk, _):
        plant.settings |= {"state_dir": str(disk / "state"), "runtime_dir": str(plant.directory)}
        plant.settings["events"] |= {"low_space_mib": 1}
        plant.settings["clips"] = {"keep_free_mib": 1}
        yield disk


def play(plant, normal_clips, pieces):
    sound = np.concatenate([hum(seconds, 50 + n, fault=fault) for n, (seconds, fault) in enumerate(pieces)])
    soundfile.write(plant.directory / "day.wav", sound, RATE_HZ, subtype="FLOAT")
    plant.add("press", {"source": "file", "path": str(plant.directory / "day.wav"), "speed": 1})
    plant.enroll("press", normal_clips)


def anomalies(events):
    return [
        (event["kind"], event["sample_start"]) for event in events if event["kind"] in {"onset", "update", "cleared"}
    ]


def test_it_fills_up_while_the_daemon_runs_and_has_room_again(plant, disk, normal_clips):
    play(plant, normal_clips, [(2.0, False), (4.0, True), (4.0, False)])
    with plant.daemon() as process, plant.client(process) as client, plant.subscriber(("",)) as subscriber:
        fill(disk)
        heard = receive_until(subscriber, lambda event: event.get("state") == "ended")
        heard += receive_until(subscriber, lambda event: event["kind"] == "heartbeat")
        status = client.call("status")
        assert status["storage"]["state"] == "failing"
        assert status["events"]["unjournalled"] > 0
        assert_books_balance(status)
        books = status["streams"]["press"]["samples"]["anomaly"]
        assert (books["received"], books["lost"]) == (10 * RATE_HZ, 0)
        again = client.call("events.replay", {"after": 0})["events"]  # what waits is there for who was away
        assert anomalies(again) == anomalies(heard)
        (disk / "filler").unlink()
        receive_until(subscriber, lambda event: event.get("subject") == "storage" and event["state"] == "ok")
        process.terminate()
        assert process.wait(20) == 0
    assert {kind for kind, _ in anomalies(heard)} >= {"onset", "cleared"}
    journal = plant.journal()
    assert anomalies(journal) == anomalies(heard)
    assert [event["seq"] for event in journal] == list(range(1, len(journal) + 1))
    told = [event["state"] for event in journal if event.get("subject") == "storage"]
    assert set(told) <= {"low", "failing", "ok"}
    assert told[-1] == "ok"


def test_it_starts_on_a_full_disk(plant, disk, normal_clips):
    """It failed to open its own database then, as that needs some pages of room."""
    play(plant, normal_clips, [(1.0, False), (4.0, True), (2.0, False)])
    with plant.daemon() as process, plant.client(process) as client:
        process.terminate()
        assert process.wait(20) == 0
    fill(disk)
    with plant.daemon() as process, plant.client(process) as client, plant.subscriber(("",)) as subscriber:
        heard = receive_until(subscriber, lambda event: event.get("state") == "ended")
        assert_books_balance(client.call("status"))
        process.terminate()
        assert process.wait(20) == 0
    assert "onset" in {kind for kind, _ in anomalies(heard)}
