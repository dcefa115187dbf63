"""Journal first, then publish: whenever the daemon is killed, nothing was published that the journal does not have."""

import signal

import pytest

from edged.events.journal import read_journal
from edged.events.subscriber import Subscriber
from tests.faults.crash_points import MODES, compiled_library, fast_directory
from tests.faults.victims import Victim


def states(events):
    return [event["state"] for event in events if event.get("stream") == "a"]


def wait_until_heard(subscriber):
    while not subscriber._tracker._boot:
        subscriber.receive(0.1)


def heard_after(subscriber, timeout_s=0.5):
    got = []
    while (event := subscriber.receive(timeout_s)) is not None:
        got.append(event)
    return states(got)


def test_killed_between_journal_and_socket_the_event_is_not_lost(tmp_path):
    state, socket = tmp_path / "state", tmp_path / "e"
    with Subscriber(f"ipc://{socket}", ["status."], after_seq=0) as subscriber:
        first = Victim(state, socket, "between", 4)
        wait_until_heard(subscriber)
        first.alarms(range(4))
        assert first.process.wait(20) == -signal.SIGKILL
        first.end()
        heard = heard_after(subscriber)
        assert heard == ["0", "1", "2"][: len(heard)]  # the last ones may still have been under way
        assert states(read_journal(state)) == ["0", "1", "2", "3"]
        with Victim(state, socket) as second:
            second.alarms([4])
            assert second.end() == 0
        assert [event["seq"] for event in read_journal(state)] == [1, 2, 3, 4, 5]


@pytest.fixture(scope="module")
def library():
    with fast_directory() as directory:
        made = compiled_library(directory)
        if made is None:
            pytest.skip("no C compiler for the library that injects the faults")
        yield made


@pytest.mark.parametrize("mode", ["kill before", "kill after", "kill torn"])
def test_killed_at_any_write_what_was_heard_is_in_the_journal(library, mode):
    killed = 0
    for nth in (1, 3, 8):
        with fast_directory() as directory:
            state, socket = directory / "state", directory / "e"
            quiet = Victim(state, socket)
            quiet.alarms([100])
            assert quiet.end() == 0
            with Subscriber(f"ipc://{socket}", ["status."]) as subscriber:
                one = Victim(state, socket, MODES.index(mode), nth, preload=library)
                wait_until_heard(subscriber)
                one.ask("arm")
                one.alarms(range(3))
                while (facts := one.ask("status")) and facts["queued"]:
                    pass
                killed += facts is None
                heard = heard_after(subscriber, 0.3)
                one.kill()
            journalled = states(read_journal(state))
            assert set(heard) <= set(journalled), (mode, nth)
            assert journalled[0] == "100"
            assert [event["seq"] for event in read_journal(state)] == list(range(1, len(journalled) + 1))
    assert killed >= 2
