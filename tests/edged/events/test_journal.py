import pytest

from edged.errors import UsageError
from edged.events.journal import Journal, JournalReader, parse_time_ns, read_journal
from edged.events.replay import replay
from edged.events.retention import Bounds
from edged.events.schema import StatusEvent
from tests.fakes.events import onset


def event(seq, stream="a", wall_s=0):
    made = StatusEvent(boot="b", time="t", stream=stream, subject="capture", state="running", seq=seq)
    return made, wall_s * 10**9


def seqs(events):
    return [found["seq"] for found in events]


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path, max_events=1000)
    yield made
    made.close()


def test_replay_by_number_topic_and_time(journal, tmp_path):
    journal.append([event(1), event(2, "b", 10), event(3, "a", 20)])
    with JournalReader(tmp_path) as reader:
        assert seqs(reader.after(1)) == [2, 3]
        assert seqs(reader.after(0, before=3)) == [1, 2]
        assert seqs(reader.after(0, topics=["status.a"])) == [1, 3]
        assert seqs(reader.after(0, limit=2)) == [1, 2]
        assert reader.last_seq() == 3
    assert seqs(read_journal(tmp_path, since="1970-01-01T00:00:10Z")) == [2, 3]
    assert seqs(read_journal(tmp_path, since="2")) == [3]


def test_is_bounded_and_never_uses_a_number_again(tmp_path):
    journal = Journal(tmp_path, max_events=3)
    journal.append([event(seq) for seq in range(1, 11)])
    journal.close()
    assert seqs(read_journal(tmp_path)) == [8, 9, 10]
    again = Journal(tmp_path, max_events=3)
    assert again.last_seq == 10
    again.close()


def test_a_state_without_a_journal_holds_nothing(tmp_path):
    assert read_journal(tmp_path) == []
    assert read_journal(tmp_path / "mistyped") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["yesterday", "2026-01-31", "2026-01-31T10:00:00", ""])
def test_a_time_without_a_zone_or_no_time_is_a_usage_error(tmp_path, text):
    with pytest.raises(UsageError):
        read_journal(tmp_path, since=text)


def test_times_with_zones_and_any_number_of_digits():
    assert parse_time_ns("1970-01-01T01:00:00.1234567+01:00") == 123_000_000


def held(tmp_path):
    with JournalReader(tmp_path) as reader:
        return reader.after(0)


def test_status_events_go_before_alarms_but_not_all_of_them(tmp_path):
    journal = Journal(tmp_path, max_events=20)
    journal.append([(onset(seq), 0) for seq in range(1, 11)])
    for seq in range(11, 211):  # a device that comes and goes all night
        journal.append([event(seq)])
    kinds = [found["kind"] for found in held(tmp_path)]
    assert (kinds.count("onset"), kinds.count("status")) == (10, 10)
    assert seqs(held(tmp_path))[-10:] == list(range(201, 211))
    journal.append([(onset(seq), 0) for seq in range(211, 411)])  # and then a month of alarms
    kinds = [found["kind"] for found in held(tmp_path)]
    assert (kinds.count("onset"), kinds.count("status")) == (18, 2)
    assert journal.held.events == 20
    assert journal.removed == 410 - 20
    journal.close()


def test_is_bounded_in_bytes_of_its_text(tmp_path):
    journal = Journal(tmp_path, bounds=Bounds(10**6, max_bytes=20_000))
    for seq in range(1, 201):
        journal.append([(onset(seq, details={"x": "\N{EURO SIGN}" * (seq % 100)}), 0)])
        assert journal.held.text_bytes <= 20_000
    size = sum(len(onset(found["seq"], details=found["details"]).to_json()) for found in held(tmp_path))
    assert size == journal.held.text_bytes
    again = Journal(tmp_path, bounds=Bounds(10**6, max_bytes=20_000))
    assert again.held == journal.held
    again.append([(onset(500, details={"x": "y" * 30_000}), 0)])  # larger than all: the newest stays in any case
    assert seqs(held(tmp_path)) == [500]
    again.close()
    journal.close()


def test_status_events_alone_are_bounded_too(tmp_path):
    journal = Journal(tmp_path, bounds=Bounds(1000, max_bytes=500))
    journal.append([event(seq) for seq in range(1, 301)])
    assert seqs(held(tmp_path)) == [299, 300]
    journal.close()


DAY_NS = 86_400 * 10**9


def test_is_bounded_in_age_and_a_wrong_clock_removes_no_news(tmp_path):
    journal = Journal(tmp_path, bounds=Bounds(1000, max_age_days=10))
    for day in range(1, 31):
        journal.append([(onset(day), day * DAY_NS)], now_ns=day * DAY_NS)
    assert seqs(held(tmp_path)) == list(range(20, 31))
    journal.append([(onset(31), 0)], now_ns=0)  # the clock lost its battery
    journal.append([(onset(32), 31 * DAY_NS)], now_ns=31 * DAY_NS, young_after=30)
    assert seqs(held(tmp_path)) == list(range(21, 33))
    journal.append([(onset(33), 60 * DAY_NS)], now_ns=60 * DAY_NS, young_after=30)
    assert seqs(held(tmp_path)) == [31, 32, 33]
    journal.close()


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_clock_steps_leave_replay_by_time_and_by_number_usable(journal, tmp_path, step_s):
    """An event every ten minutes from 10:00 to 11:50; at 11:00 somebody sets the clock."""
    walls = [36_000 + 600 * n + (step_s if n >= 6 else 0) for n in range(12)]
    journal.append([(event(n + 1)[0], wall_s * 10**9) for n, wall_s in enumerate(walls)])
    with JournalReader(tmp_path) as reader:
        for since_s in range(36_000, max(walls) + 1, 300):
            found = seqs(reader.since(since_s * 10**9, limit=100))
            stamped = [n + 1 for n, wall_s in enumerate(walls) if wall_s >= since_s]
            assert set(stamped) <= set(found)
            assert found == list(range(stamped[0], 13))  # in order, and nothing that came later is left out
        assert seqs(reader.since((max(walls) + 1) * 10**9, limit=100)) == []
        assert seqs(reader.after(6)) == list(range(7, 13))


def test_pages_join_without_overlap_and_tell_what_is_gone(tmp_path):
    journal = Journal(tmp_path, max_events=100)
    journal.append([event(seq, "ab"[seq % 2]) for seq in range(1, 51)])
    journal._connection.execute("DELETE FROM journal_events WHERE seq IN (3, 4, 20, 49)")
    wanted = [seq for seq in range(1, 51, 2) if seq not in {3, 49}]
    for limit in (1, 2, 7, 25, 1000):
        got, missing, after = [], 0, 0
        while after is not None:
            answer = replay(tmp_path, after=after, topics=["status.b"], limit=limit)
            assert len(answer["events"]) <= limit
            got, missing, after = got + seqs(answer["events"]), missing + answer["missing"], answer["next"]
        assert (got, missing) == (wanted, 4)
    assert (answer["last_seq"], answer["journal"]) == (50, journal.identity)
    assert replay(tmp_path, after=30, before=35)["missing"] == 0
    assert seqs(replay(tmp_path, since="1970-01-01T00:00:00Z", after=47)["events"]) == [48, 50]
    journal.close()


def test_a_page_is_bounded_in_bytes(journal, tmp_path):
    journal.append([(onset(seq, details={"x": "y" * 300_000}), 0) for seq in range(1, 9)])
    answer = replay(tmp_path)
    assert seqs(answer["events"]) == [1, 2, 3]
    assert seqs(replay(tmp_path, after=answer["next"])["events"]) == [4, 5, 6]


def test_what_waits_for_the_journal_is_replayed_too(journal, tmp_path):
    journal.append([event(seq) for seq in range(1, 6)])
    waiting = [
        event(seq, "ab"[seq % 2])[0] for seq in (4, 5, 6, 7, 8, 11)
    ]  # 4 and 5 were stored just now; 9, 10 are lost
    answer = replay(tmp_path, after=2, waiting=lambda: waiting)
    assert seqs(answer["events"]) == [3, 4, 5, 6, 7, 8, 11]
    assert (answer["missing"], answer["next"], answer["last_seq"]) == (2, None, 11)
    assert seqs(replay(tmp_path, after=5, before=8, topics=["status.b"], waiting=lambda: waiting)["events"]) == [7]
    pages, after = [], 0
    while after is not None:
        answer = replay(tmp_path, after=after, limit=2, waiting=lambda: waiting)
        pages, after = [*pages, *seqs(answer["events"])], answer["next"]
    assert pages == [1, 2, 3, 4, 5, 6, 7, 8, 11]


def test_a_row_whose_text_is_damaged_is_passed_over(journal, tmp_path):
    journal.append([event(seq) for seq in range(1, 4)])
    journal._connection.execute("UPDATE journal_events SET body = substr(body, 5) WHERE seq = 2")
    assert seqs(replay(tmp_path)["events"]) == [1, 3]
