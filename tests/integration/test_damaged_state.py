"""The whole daemon over a state database that is damaged: it goes on, loses no alarm, and says what is gone."""

import contextlib
import socket
import sqlite3
import time

import pytest
import soundfile

from edged.references.store import BankStore
from edged.state import DATABASE_NAME
from tests.integration.helpers import RATE_HZ, assert_books_balance, hum, receive_until

PAGE = 4096


def damage(state, table):
    """Overwrite a table's first page, beyond the log; then commit something, so that nobody trusts what they hold."""
    connection = sqlite3.connect(state / DATABASE_NAME, timeout=20)
    connection.execute("CREATE TABLE disturbance (a)")
    connection.commit()
    assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name=?", (table,)).fetchone()[0]
    with (state / DATABASE_NAME).open("r+b") as handle:
        handle.seek((root - 1) * PAGE)
        handle.write(b"\xa5" * PAGE)
    connection.execute("INSERT INTO disturbance VALUES (1)")
    connection.commit()
    connection.close()


def play(plant, directory, normal_clips, seconds):
    soundfile.write(directory / "day.wav", hum(seconds, 50), RATE_HZ, subtype="FLOAT")
    plant.add("press", {"source": "file", "path": str(directory / "day.wav"), "speed": 1})
    plant.enroll("press", normal_clips)


@pytest.fixture
def manager(plant, tmp_path):
    """A service manager that listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.setblocking(False)
        plant.environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        yield made


def told(manager):
    said = []
    with contextlib.suppress(BlockingIOError):
        while True:
            said += manager.recv(4096).decode().splitlines()
    return said


def test_damage_while_it_runs(plant, normal_clips, tmp_path, manager):
    play(plant, tmp_path, normal_clips, 5.0)
    with plant.daemon() as process, plant.client(process) as client, plant.subscriber() as subscriber:
        receive_until(subscriber, lambda event: event.get("state") == "ready")
        first = client.call("status")["boot"]
        damage(plant.config.state_path, "journal_by_time")
        seen = receive_until(subscriber, lambda event: event.get("state") == "salvaged", 60)
        assert seen[-1]["boot"] != first
        assert process.poll() is None
        receive_until(subscriber, lambda event: event.get("state") == "ended" and event["boot"] != first)
        again = plant.client(process)
        assert_books_balance(again.call("status"))
        assert "damaged, moved to" in again.call("status")["storage"]["salvaged"]
        again.close()
        said = told(manager)
        assert said.count("READY=1") == 2
        assert "STOPPING=1" not in said  # systemd would have waited for its end, and then killed it
        process.terminate()
        assert process.wait(20) == 0
    journal = plant.journal()
    assert [event["seq"] for event in journal] == list(range(1, len(journal) + 1))
    heard = {event["seq"] for event in seen if event["kind"] == "status"}
    assert heard <= {event["seq"] for event in journal}
    assert any(event["boot"] == first and event["state"] == "stopped" for event in journal)  # it had to wait
    with BankStore(plant.config.state_path) as store:
        assert store.active_version("press", "anomaly") == 1


def test_damaged_references_at_the_start(plant, normal_clips, tmp_path):
    play(plant, tmp_path, normal_clips, 3.0)
    damage(plant.config.state_path, "banks")
    plant.settings["exit_when_done"] = True
    started_s = time.monotonic()
    done = plant.run("run")
    assert done.returncode == 0, done.stderr.decode()
    journal = plant.journal()
    lost = [event for event in journal if event.get("subject") == "bank" and event["state"] == "lost"]
    assert [event["stream"] for event in lost] == ["press"]
    salvaged = next(event for event in journal if event.get("state") == "salvaged")
    assert "press/anomaly: ALL references are lost" in salvaged["reason"]
    assert list(plant.config.state_path.glob(f"{DATABASE_NAME}.damaged-*"))
    assert time.monotonic() - started_s < 60


def test_damage_ends_a_run_that_has_an_end(plant, normal_clips, tmp_path):
    """Its files began again, and all of their events came twice."""
    play(plant, tmp_path, normal_clips, 30.0)
    plant.settings["exit_when_done"] = True
    with plant.daemon() as process, plant.subscriber() as subscriber:
        receive_until(subscriber, lambda event: event.get("state") == "ready")
        damage(plant.config.state_path, "journal_by_time")
        assert process.wait(60) == 1
    assert "this life ends: the state database is damaged" in (plant.directory / "log").read_text()
    plant.settings["exit_when_done"] = False
    with plant.daemon() as process, plant.client(process) as client:
        assert "damaged, moved to" in client.call("status")["storage"]["salvaged"]
