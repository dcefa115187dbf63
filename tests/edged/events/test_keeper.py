import json
import time

import pytest

from edged.clock import FakeClock
from edged.config import EventsSettings
from edged.errors import DamagedError, StateError
from edged.events import keeper as module
from edged.events import overflow
from edged.events.journal import Journal, read_journal
from edged.events.keeper import JournalKeeper
from edged.events.schema import ScoreEvent
from tests.fakes.events import onset, status


def seqs(events):
    return [found["seq"] for found in events]


class Disk:
    """Refuses when told to."""

    def __init__(self, monkeypatch):
        self.refuses, works = None, Journal.append

        def append(*args, **kwargs):
            if self.refuses:
                raise self.refuses
            works(*args, **kwargs)

        monkeypatch.setattr(Journal, "append", append)


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


@pytest.fixture
def clock():
    return FakeClock(time.time())


@pytest.fixture
def keep(tmp_path, clock):
    made = []

    def begin(**settings):
        made.append(JournalKeeper(tmp_path, EventsSettings(low_space_mib=0, **settings), "b", clock))
        return made[-1]

    yield begin
    for keeper in made:
        keeper.close()


def store(keeper, clock, events):
    return keeper.keep([keeper.number(event, clock.wall_ns()) for event in events])


def test_what_waits_at_the_end_is_stored_by_the_next_life(keep, disk, clock, tmp_path):
    first = keep()
    store(first, clock, [status(0)])
    disk.refuses = StateError("disk full")
    assert [event.journalled for event in store(first, clock, [status(1), status(2)])] == [False, False]
    first.close()
    assert (tmp_path / overflow.WAITING_NAME).exists()
    disk.refuses = None
    second = keep()
    assert second.last_seq == 3
    assert not (tmp_path / overflow.WAITING_NAME).exists()
    store(second, clock, [status(3)])
    journal = read_journal(tmp_path)
    assert [event["state"] for event in journal] == ["0", "1", "2", "3"]
    assert seqs(journal) == [1, 2, 3, 4]
    assert all(event["journalled"] for event in journal)


def test_a_damaged_line_of_what_waited_is_passed_over(keep, disk, clock, tmp_path):
    first = keep()
    disk.refuses = StateError("disk full")
    store(first, clock, [status(n) for n in range(4)])
    first.close()
    path = tmp_path / overflow.WAITING_NAME
    lines = path.read_text().splitlines()
    strange = json.dumps([0, json.loads(lines[3])[1] | {"seq": 2}])  # a number that was there already
    endless = json.dumps([1 << 80, json.loads(lines[3])[1] | {"seq": 3}])  # a time that no database holds
    bad = ['{"', "[" * 100_000, "null", '["x", {}]', strange, endless, json.dumps([0, ScoreEvent(
        boot="b", time="t", stream="a", sample_start=0, sample_end=1, score=0.0, threshold=1.0, domain="", bank=1
    ).fields()])]  # fmt: skip
    path.write_text("\n".join([lines[0], lines[1], *bad, lines[3]]))
    disk.refuses = None
    keep()
    assert seqs(read_journal(tmp_path)) == [1, 2, 4]


def test_no_number_is_given_twice_after_a_kill(keep, disk, clock, tmp_path):
    killed = keep()
    store(killed, clock, [status(0)])
    disk.refuses = StateError("disk full")
    store(killed, clock, [status(1), status(2)])
    disk.refuses = None
    assert JournalKeeper(tmp_path, EventsSettings(), "c", clock).last_seq == 3  # the first was never closed
    (tmp_path / overflow.MARK_NAME).write_text("nonsense")
    assert JournalKeeper(tmp_path, EventsSettings(), "d", clock).last_seq in {1, 3}


def test_memory_is_bounded_and_alarms_stay_longest(keep, disk, clock, monkeypatch):
    monkeypatch.setattr(overflow, "KEPT_EVENTS", 10)
    keeper = keep()
    disk.refuses = StateError("disk full")
    store(keeper, clock, [onset(0), *(status(n) for n in range(8)), onset(1), onset(2), onset(3)])
    assert [event.kind for event in keeper.waiting()] == ["onset", *["status"] * 6, *["onset"] * 3]
    store(keeper, clock, [onset(n) for n in range(20)])
    assert len(keeper.waiting()) == 10
    assert all(event.kind == "onset" for event in keeper.waiting())
    assert keeper.facts()["lost_from_journal"] == 22


def test_what_is_left_for_the_next_life_is_never_more_than_that_reads(keep, disk, clock, monkeypatch, tmp_path):
    # the file could grow beyond what is read of it: everything in it was lost then
    first = keep()
    disk.refuses = StateError("disk full")
    store(first, clock, [onset(0), status(0), onset(1), status(1), onset(2)])
    line = len(json.dumps([clock.wall_ns(), first.waiting()[0].fields()])) + 20
    monkeypatch.setattr(overflow, "MAX_WAITING_BYTES", 4 * line)
    first.close()
    assert (tmp_path / overflow.WAITING_NAME).stat().st_size <= 4 * line
    assert first.facts()["lost_from_journal"] == 1
    disk.refuses = None
    keep()
    assert seqs(read_journal(tmp_path)) == [1, 3, 4, 5]


def test_trying_again_waits_a_little_and_then_goes_on_in_order(keep, disk, clock, tmp_path):
    keeper = keep()
    disk.refuses = StateError("disk full")
    store(keeper, clock, [status(0)])
    assert keeper.storage == "failing"
    disk.refuses = None
    store(keeper, clock, [status(1)])
    assert keeper.storage == "failing"
    clock.advance(module.RETRY_S)
    keeper.look()
    assert keeper.storage == "ok"
    assert seqs(read_journal(tmp_path)) == [1, 2]


def test_damage_is_told_once_and_not_tried_again(tmp_path, disk, clock):
    told = []
    keeper = JournalKeeper(tmp_path, EventsSettings(), "b", clock, on_damage=lambda: told.append(1))
    disk.refuses = DamagedError("database disk image is malformed")
    store(keeper, clock, [status(0)])
    clock.advance(100.0)
    store(keeper, clock, [status(1)])
    keeper.look()
    assert (keeper.storage, told) == ("damaged", [1])
    disk.refuses = None
    assert len(keeper.waiting()) == 2
    keeper.close()
    assert seqs(read_journal(tmp_path)) == []
    assert (tmp_path / overflow.WAITING_NAME).exists()


def test_a_file_that_cannot_be_removed_ends_nobody_and_is_not_read_twice(keep, disk, clock, tmp_path):
    first = keep()
    disk.refuses = StateError("disk full")
    store(first, clock, [status(0)])
    first.close()
    kept = (tmp_path / overflow.WAITING_NAME).read_bytes()
    disk.refuses = None
    keep().close()
    (tmp_path / overflow.WAITING_NAME).mkdir()  # `unlink` refuses
    keep().close()
    (tmp_path / overflow.WAITING_NAME).rmdir()
    (tmp_path / overflow.WAITING_NAME).write_bytes(kept)
    keep()
    assert seqs(read_journal(tmp_path)) == [1]
