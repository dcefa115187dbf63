"""A daemon that crashes again and again ends in a safe mode that tells why; it does not end, and does not go on so."""

import contextlib
import signal
import socket
import time
import urllib.request

import psutil
import pytest
import soundfile

from edged.errors import ControlError
from edged.state import DATABASE_NAME
from tests.integration.broker import free_port
from tests.integration.helpers import RATE_HZ, hum, receive_until
from tests.integration.sabotage import sabotage

LIMIT = 3
SEGFAULT = """
import ctypes
from edged.runtime.worker import Worker
Worker._step = lambda self: ctypes.string_at(0)
"""
THREAD_DIES = """
from edged.runtime.worker import Worker
def _step(self): raise RuntimeError("the worker is broken")
Worker._step = _step
"""


@pytest.fixture
def watched(plant, normal_clips, tmp_path):
    """A plant whose daemon is in safe mode after three starts that did not last."""
    soundfile.write(tmp_path / "day.wav", hum(5.0, 50), RATE_HZ, subtype="FLOAT")
    plant.add("press", {"source": "file", "path": str(tmp_path / "day.wav"), "speed": 1, "loop": True})
    plant.enroll("press", normal_clips)
    plant.settings["service"] = {"crash_limit": LIMIT, "safe_mode_s": None}
    return plant


def crash_until_safe(plant, kill):
    """As a service manager would: start it again whenever it has ended."""
    for _ in range(LIMIT):
        with plant.daemon() as process:
            kill(process)
            assert process.wait(60) < 0


def kill_it(plant):
    def kill(process):
        plant.client(process).close()
        process.kill()

    return kill


def wait_for_mode(plant, process, mode, boot=None):
    """The status of the first life that is in this mode."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        with contextlib.suppress(ControlError), plant.client(process) as client:
            status = client.call("status")
            if status["mode"] == mode and status["boot"] != boot:
                return status
        time.sleep(0.1)
    raise AssertionError((plant.directory / "log").read_text())


@pytest.fixture
def manager(plant, tmp_path):
    """A service manager that listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(60)
        plant.environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        yield made


def test_killed_again_and_again_it_reports_instead_and_leaves_by_restart(watched, manager):
    port = free_port()
    watched.settings["metrics"] = {"enabled": True, "port": port}
    crash_until_safe(watched, kill_it(watched))
    with watched.daemon() as process, watched.subscriber() as subscriber:
        status = wait_for_mode(watched, process, "safe")
        assert status["safe_mode"]["reason"] == "the last 3 starts within 600 s did not last"
        assert "killed, out of memory" in status["safe_mode"]["last_error"]
        while "safe mode" not in (said := manager.recv(4096).decode()):
            assert said.startswith("READY=1")  # of a life before
        assert said.startswith("READY=1")

        (told,) = receive_until(subscriber, lambda event: event.get("state") == "safe mode")[-1:]
        assert "edged restart" in told["reason"]
        receive_until(subscriber, lambda event: event["kind"] == "heartbeat")
        assert told["seq"] in {event["seq"] for event in watched.journal()}
        assert psutil.Process(process.pid).children() == []  # no capture
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
        assert "edged_safe_mode 1.0" in page

        with watched.client(process) as client:
            assert client.call("events.replay", {"topics": ["status."]})["events"]
            assert client.call("references.show", {"stream": "press"})
            with pytest.raises(ControlError, match=r"in safe mode.*edged restart"):
                client.call("enroll", {"stream": "press", "last_s": 10.0})
            archive = client.call("references.export", {"stream": "press", "monitor": "anomaly"})["transfer"]
            assert client.call("transfer.get", {"transfer": archive, "offset": 0})["size"] > 0
            piece = {"transfer": archive, "file": 1, "name": "a.wav", "offset": 0, "data": b"RIFF"}
            with pytest.raises(ControlError, match="in safe mode"):  # before hours of clips are sent for nothing
                client.call("transfer.put", piece)
        seen = watched.run("status")
        assert seen.returncode == 1
        assert b"SAFE MODE: nothing is listened to" in seen.stdout
        assert b"is in safe mode" in watched.run("doctor").stdout

        watched.call("restart")
        wait_for_mode(watched, process, "normal", status["boot"])
        assert watched.run("status").returncode == 0
        process.terminate()
        assert process.wait(20) == 0
    with watched.daemon() as process:  # what was ended on purpose counts for nothing
        wait_for_mode(watched, process, "normal")


def test_a_crash_in_native_code_is_no_end(watched):
    sabotage(watched, SEGFAULT)
    watched.settings["service"] |= {"safe_mode_s": 3.0}
    crash_until_safe(watched, lambda _: None)
    with watched.daemon() as process:
        wait_for_mode(watched, process, "safe")
        assert process.wait(60) == -signal.SIGSEGV  # it has tried again, by itself


def test_a_thread_that_dies_again_and_again_is_no_end_of_the_process(watched, manager):
    sabotage(watched, THREAD_DIES)
    with watched.daemon() as process:
        status = wait_for_mode(watched, process, "safe")
        assert status["safe_mode"]["last_error"] == "thread worker died: RuntimeError: the worker is broken"
        said = [manager.recv(4096).decode() for _ in range(2 * LIMIT + 1)]
        assert [one.split("\n")[0] for one in said if "READY=1" in one] == ["READY=1"] * (LIMIT + 1)
        assert "STATUS=beginning anew: thread worker died: RuntimeError: the worker is broken" in said
        assert not any("STOPPING" in one for one in said)
        process.send_signal(signal.SIGHUP)
        other = wait_for_mode(watched, process, "safe", status["boot"])  # it has tried again, three times
        process.terminate()
        assert process.wait(20) == 0
    told = [(event["boot"], event["state"]) for event in watched.journal() if event.get("subject") == "daemon"]
    assert [state for _, state in told].count("ready") == 2 * LIMIT
    assert {(status["boot"], "safe mode"), (other["boot"], "safe mode")} <= set(told)
    stopped = [event["reason"] for event in watched.journal() if event.get("state") == "stopped"]
    assert stopped.count("thread worker died: RuntimeError: the worker is broken") == 2 * LIMIT


def test_what_is_refused_at_each_start_is_told_where_a_manager_would_start_it_for_ever(watched, manager, tmp_path):
    anomaly = watched.settings["streams"]["press"]["monitors"]["anomaly"]
    anomaly["bundle"] = str(tmp_path / "absent")
    for _ in range(LIMIT):
        assert watched.run("run").returncode == 1
    with watched.daemon() as process:
        status = wait_for_mode(watched, process, "safe")
        assert str(tmp_path / "absent") in status["safe_mode"]["last_error"]
        process.terminate()
        assert process.wait(20) == 0
    watched.environment.pop("NOTIFY_SOCKET")
    for _ in range(LIMIT + 1):  # to a person it says so each time
        assert watched.run("run").returncode == 1


def test_a_state_that_cannot_be_opened_is_told_without_it(watched, manager):
    database = watched.config.state_path / DATABASE_NAME
    for path in database.parent.glob(f"{DATABASE_NAME}*"):
        path.rename(watched.directory / path.name)
    database.mkdir()
    for _ in range(LIMIT):
        assert watched.run("run").returncode == 1
    with watched.daemon() as process:
        status = wait_for_mode(watched, process, "safe")
        assert str(database) in status["safe_mode"]["last_error"]
        assert (status["storage"]["state"], str(database) in status["storage"]["reason"]) == ("failing", True)
        shown = watched.run("status")
        assert (shown.returncode, b"storage: failing" in shown.stdout) == (1, True)
        database.rmdir()
        for path in watched.directory.glob(f"{DATABASE_NAME}*"):
            path.rename(database.parent / path.name)
        watched.call("reload")
        status = wait_for_mode(watched, process, "normal")
        assert status["streams"]["press"]["banks"] == {"anomaly": 1}


def test_a_changed_configuration_gets_a_chance_of_its_own(watched):
    crash_until_safe(watched, kill_it(watched))
    watched.settings["capture"] = {"ring_s": 100.0}
    with watched.daemon() as process:
        wait_for_mode(watched, process, "normal")


def test_a_run_that_has_an_end_fails_instead(watched):
    watched.settings["exit_when_done"] = True
    crash_until_safe(watched, kill_it(watched))
    done = watched.run("run")
    assert done.returncode == 1
    assert b"the last 3 starts within 600 s did not last" in done.stderr


def test_a_broken_configuration_does_not_end_safe_mode(watched):
    crash_until_safe(watched, kill_it(watched))
    with watched.daemon() as process:
        boot = wait_for_mode(watched, process, "safe")["boot"]
        whole = watched.config_file.read_text()
        (watched.directory / "edged.yaml").write_text(f"{whole}\nodd: 1\n")
        process.send_signal(signal.SIGHUP)
        with watched.client(process) as client, pytest.raises(Exception, match="odd: unknown key"):
            client.call("restart")
        time.sleep(1.0)
        with watched.client(process) as client:
            assert client.call("status")["boot"] == boot
