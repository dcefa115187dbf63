import pytest

from edged.errors import UsageError
from edged.events.journal import Journal, JournalReader, parse_time_ns, read_journal
from edged.events.schema import StatusEvent


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


@pytest.mark.parametrize("text", ["yesterday", "2026-01-31", "2026-01-31T10:00:00", ""])
def test_a_time_without_a_zone_or_no_time_is_a_usage_error(tmp_path, text):
    with pytest.raises(UsageError):
        read_journal(tmp_path, since=text)


def test_times_with_zones_and_any_number_of_digits():
    assert parse_time_ns("1970-01-01T01:00:00.1234567+01:00") == 123_000_000
