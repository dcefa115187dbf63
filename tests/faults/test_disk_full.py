"""No room for the state: telemetry goes first, alarms go out all the same, and into the journal once there is room.

On a real file system of 4 MiB where we may mount one, and with calls that fail below the state directory everywhere.
"""

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from edged.events.journal import read_journal
from edged.events.subscriber import Subscriber
from tests.faults.crash_points import MODES, compiled_library, fast_directory
from tests.faults.victims import Victim

WHILE_FULL = 1500
"""More than SQLite's log has room for that it took before: 300 went into it whole, if they came as one transaction."""


def states(events):
    return [event["state"] for event in events if event.get("stream") == "a"]


def wait_for(victim, **wanted):
    deadline_s = time.monotonic() + 30.0
    while time.monotonic() < deadline_s:
        facts = victim.ask("status")
        found = {**facts, "storage": facts["storage"]["state"]}
        if all(found[key] == value for key, value in wanted.items()):
            return facts
        time.sleep(0.05)
    raise AssertionError(f"never {wanted}: {facts}")


def hear(subscriber, n):
    """The next n events of the stream, and what was said of the storage meanwhile."""
    got, told = [], []
    while len(got) < n:
        event = subscriber.receive(20.0)
        assert event is not None, (len(got), n)
        if event.get("stream") == "a":
            got.append(event)
        elif event.get("subject") == "storage":
            told.append(event["state"])
    return got, told


def told_of_storage(events):
    return [event["state"] for event in events if event.get("subject") == "storage"]


@contextmanager
def small_disk(size="1m"):
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    with fast_directory() as directory:
        disk = directory / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=False).returncode:
            pytest.skip("no file system can be mounted here")
        try:
            yield disk, directory / "e"
        finally:
            subprocess.run(["umount", "-l", disk], check=True)


def fill(disk):
    """Every byte, like a log that nobody rotates."""
    with (disk / "filler").open("wb", buffering=0) as filler:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    filler.write(b"\0" * size)
            except OSError:
                continue


def test_a_full_disk_costs_no_alarm_and_no_order():
    with small_disk("4m") as (disk, socket), Victim(disk / "state", socket, low_space_mib=0) as one:
        with Subscriber(f"ipc://{socket}", ["status."]) as subscriber:
            while not subscriber._tracker._boot:
                subscriber.receive(0.1)
            one.alarms(range(5))
            fill(disk)
            one.alarms(range(5, 5 + WHILE_FULL))
            facts = wait_for(one, storage="failing")
            assert facts["unjournalled"] > 0
            dropped = facts["dropped_telemetry"]
            one.ask("telemetry")
            assert one.ask("status")["dropped_telemetry"] == dropped + 1
            (disk / "filler").unlink()
            wait_for(one, storage="ok", unjournalled=0, lost_from_journal=0)
            one.alarms(range(5 + WHILE_FULL, 10 + WHILE_FULL))
            one.ask("telemetry")
            assert one.ask("status")["dropped_telemetry"] == dropped + 1
            heard, told = hear(subscriber, 10 + WHILE_FULL)
        assert one.end() == 0
        journal = read_journal(disk / "state", limit=10_000)
    assert states(heard) == states(journal) == [str(n) for n in range(10 + WHILE_FULL)]
    assert told == told_of_storage(journal) == ["failing", "ok"]
    assert [event["seq"] for event in journal] == list(range(1, len(journal) + 1))
    assert sum(not event["journalled"] for event in heard) > WHILE_FULL // 2


def test_before_it_is_full_telemetry_is_off_and_alarms_are_journalled():
    with small_disk("8m") as (disk, socket), Victim(disk / "state", socket, low_space_mib=4) as one:
        wait_for(one, storage="ok")
        (disk / "filler").write_bytes(b"\0" * (5 << 20))
        facts = wait_for(one, storage="low")
        assert "telemetry is off" in facts["storage"]["reason"]
        one.alarms(range(5))
        one.ask("telemetry")
        assert one.ask("status")["dropped_telemetry"] == 1
        wait_for(one, unjournalled=0)
        (disk / "filler").unlink()
        wait_for(one, storage="ok")
        one.end()
        journal = read_journal(disk / "state")
    assert states(journal) == [str(n) for n in range(5)]
    assert told_of_storage(journal) == ["low", "ok"]


def test_killed_on_a_full_disk_no_number_is_given_twice():
    """A killed daemon had published 35 alarms that no journal holds; the next one gave other alarms their numbers."""
    with small_disk() as (disk, socket):
        state = disk / "state"
        with Victim(state, socket) as one:
            one.alarms(range(5))
            fill(disk)
            one.alarms(range(5, 40))
            while (given_out := wait_for(one, storage="failing")["last_seq"]) < 40:
                time.sleep(0.05)
            one.kill()
        (disk / "filler").unlink()
        with Victim(state, socket) as two:
            two.alarms([40])
            two.end()
        last = read_journal(state)[-1]
    assert last["seq"] > given_out >= 40


@pytest.fixture(scope="module")
def library():
    with fast_directory() as directory:
        made = compiled_library(directory)
        if made is None:
            pytest.skip("no C compiler for the library that injects the faults")
        yield made


@pytest.mark.parametrize("mode", ["no space from there on", "I/O errors from there on"])
def test_a_disk_that_refuses_everything_costs_no_alarm(library, mode, tmp_path):
    socket = tmp_path / "e"
    with Victim(tmp_path / "state", socket, MODES.index(mode), 3, preload=library) as one:
        with Subscriber(f"ipc://{socket}", ["status."]) as subscriber:
            while not subscriber._tracker._boot:
                subscriber.receive(0.1)
            one.ask("arm")
            one.alarms(range(60))
            wait_for(one, storage="failing")
            waiting = one.ask("waiting")["seqs"]  # it goes on growing
            assert waiting == sorted(waiting)
            one.ask("disarm")
            wait_for(one, storage="ok", unjournalled=0)
            heard, _ = hear(subscriber, 60)
        assert one.end() == 0
    journal = read_journal(tmp_path / "state")
    assert states(heard) == states(journal) == [str(n) for n in range(60)]
    assert [event["seq"] for event in journal] == list(range(1, len(journal) + 1))
