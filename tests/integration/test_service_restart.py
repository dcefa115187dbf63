"""The daemon begins anew in the same process: nothing of the life before goes on, and nobody can make it do so idly."""

import contextlib
import threading
import time

import pytest
import soundfile

from edged.errors import ControlError, EdgedError
from tests.integration.helpers import RATE_HZ, hum, receive_until
from tests.integration.sabotage import sabotage
from tests.integration.test_damaged_state import damage

SLOW_ROLLBACK = """
import pathlib, time
from edged.references.store import BankStore
real = BankStore.rollback
def slow(self, *arguments):
    pathlib.Path("{folder}/begun").touch()
    time.sleep(6.0)
    pathlib.Path("{folder}/went-on").touch()
    return real(self, *arguments)
BankStore.rollback = slow
"""
SEES_DAMAGE = """
import edged.runtime.verbs
from edged.errors import DamagedError
def overview(*_): raise DamagedError("state database: malformed")
edged.runtime.verbs.overview = overview
"""


@pytest.fixture
def running(plant, normal_clips, tmp_path):
    soundfile.write(tmp_path / "day.wav", hum(5.0, 50), RATE_HZ, subtype="FLOAT")
    plant.add("press", {"source": "file", "path": str(tmp_path / "day.wav"), "speed": 1, "loop": True})
    plant.enroll("press", normal_clips)
    return plant


def test_a_long_verb_ends_with_its_life(running, tmp_path):
    """It went on in the same process, and wrote to the database that had been moved aside."""
    sabotage(running, SLOW_ROLLBACK.format(folder=tmp_path))
    with running.daemon() as process, running.client(process) as client, running.subscriber() as subscriber:
        refused = []

        def roll_back():
            with contextlib.suppress(EdgedError), running.client(process) as other:
                refused.append(other.call("references.rollback", {"stream": "press"}, timeout_s=30.0))

        asking = threading.Thread(target=roll_back)
        asking.start()
        receive_until(subscriber, lambda event: event.get("state") == "ready")
        first = client.call("status")["boot"]
        deadline_s = time.monotonic() + 30
        while not (tmp_path / "begun").exists() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        damage(running.config.state_path, "journal_by_time")
        with contextlib.suppress(EdgedError):  # whoever looks meets it: nothing happens that would be journalled
            client.call("events.replay", {"since": "2020-01-01T00:00:00Z"})
        receive_until(subscriber, lambda event: event.get("state") == "salvaged" and event["boot"] != first)
        asking.join(40.0)
        time.sleep(6.0)
        assert (tmp_path / "begun").exists()
        assert not (tmp_path / "went-on").exists()
        assert refused == []
        assert process.poll() is None


def test_a_verb_that_finds_damage_where_there_is_none_makes_nobody_begin_anew(running):
    """Whoever might only listen could make the daemon begin anew, again and again, until it ended."""
    sabotage(running, SEES_DAMAGE)
    with running.daemon() as process, running.client(process) as client:
        boot = client.call("status")["boot"]
        for _ in range(5):
            with pytest.raises(EdgedError, match="malformed"):
                client.call("references.show", {"stream": "press"})
        time.sleep(2.0)
        assert client.call("status")["boot"] == boot
        log = (running.directory / "log").read_text()
        assert log.count("the database itself is whole") == 1


def test_a_wish_to_begin_anew_takes_the_configuration_as_it_is_now(running):
    with running.daemon() as process:
        with running.client(process) as client:
            first = client.call("status")
        running.settings["streams"]["other"] = running.settings["streams"]["press"]
        usual = running.settings["events"]
        running.settings["events"] = usual | {"bind": "tcp://0.0.0.0:9751"}
        refused = running.run("restart")  # the daemon that listened was ended by it
        assert b"without keys" in refused.stderr
        assert refused.returncode == 78
        running.settings["events"] = usual
        running.call("restart")
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            with contextlib.suppress(ControlError), running.client(process) as client:
                status = client.call("status")
                if status["boot"] != first["boot"]:
                    break
            time.sleep(0.1)
        assert set(status["streams"]) == {"press", "other"}
        process.terminate()
        assert process.wait(20) == 0
