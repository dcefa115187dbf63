"""The score history: what goes in comes out, bounded, and never half of a batch."""

import sqlite3

import numpy as np
import pytest

from edged.clock import NS_PER_S
from edged.errors import StateError
from edged.references import history as module
from edged.references.history import ScoreHistory, Stretch, joined
from edged.state import DATABASE_NAME

NOW_NS = 1_700_000_000 * NS_PER_S
DAY_NS = 86_400 * NS_PER_S


def stretch(values=(1.0, 2.0), domain="source", started_ns=NOW_NS, **more):
    return Stretch(domain, started_ns, np.array(values, np.float32), more.pop("ceiling", 4.5), **more)


def append(history, *stretches, stream="pump", bank=1, now_ns=NOW_NS):
    history.append(stream, "anomaly", bank, stretches, now_ns=now_ns)


def values(history, stream="pump", bank=1):
    return [s.scores.tolist() for s in history.stretches(stream, "anomaly", bank)]


def test_what_was_heard_is_read_as_it_was_after_a_restart(tmp_path):
    heard = stretch((0.5, -1.25, 3.0), "hot", NOW_NS - 7, ceiling=np.inf, continues=True, ended_in_alarm=True)
    with ScoreHistory(tmp_path) as history:
        append(history, stretch(), heard)
    with ScoreHistory(tmp_path) as history:
        first, second = history.stretches("pump", "anomaly", 1)
    assert first.scores.tolist() == [1.0, 2.0]
    assert second.scores.dtype == np.float32
    assert second.scores.tolist() == [0.5, -1.25, 3.0]
    assert (second.domain, second.started_ns, second.ceiling) == ("hot", NOW_NS - 7, np.inf)
    assert (second.continues, second.ended_in_alarm) == (True, True)


def test_streams_and_bank_versions_are_kept_apart_for_a_roll_back(tmp_path):
    with ScoreHistory(tmp_path) as history:
        append(history, stretch((1.0,)))
        append(history, stretch((2.0,)), bank=2)
        append(history, stretch((3.0,)), stream="fan")
        assert (values(history), values(history, bank=2), values(history, "fan")) == ([[1.0]], [[2.0]], [[3.0]])


def test_an_hour_takes_few_bytes(tmp_path):
    with ScoreHistory(tmp_path) as history:
        for hour in range(24):
            append(history, stretch(np.zeros(1406), started_ns=NOW_NS + hour * 3600 * NS_PER_S))
    assert (tmp_path / DATABASE_NAME).stat().st_size < 24 * 8_000 + 100_000


def test_old_scores_are_forgotten(tmp_path):
    with ScoreHistory(tmp_path) as history:
        append(history, stretch((1.0,), started_ns=NOW_NS))
        append(history, stretch((2.0,), started_ns=NOW_NS + 10 * DAY_NS), now_ns=NOW_NS + 10 * DAY_NS)
        assert len(values(history)) == 2
        append(history, stretch((3.0,), started_ns=NOW_NS + 15 * DAY_NS), now_ns=NOW_NS + 15 * DAY_NS)
        assert values(history) == [[2.0], [3.0]]


def test_no_stream_takes_more_than_its_share_and_none_takes_anothers(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "KEPT_SCORES", 10)
    with ScoreHistory(tmp_path) as history:
        append(history, stretch((9.0,) * 9), stream="fan")
        for number in range(6):
            append(history, stretch((float(number),) * 4), bank=1 + number // 3)
        assert values(history) == []
        assert [v[0] for v in values(history, bank=2)] == [4.0, 5.0]
        assert len(values(history, "fan")) == 1


def test_a_batch_that_fails_leaves_nothing_of_itself(tmp_path):
    with ScoreHistory(tmp_path) as history:
        append(history, stretch((1.0,)))
        broken = Stretch(None, NOW_NS, np.ones(1, np.float32), 4.5)  # type: ignore[arg-type]
        with pytest.raises(StateError):
            append(history, stretch((2.0,)), broken)
        assert values(history) == [[1.0]]


def test_a_damaged_row_is_no_crash(tmp_path):
    with ScoreHistory(tmp_path) as history:
        append(history, stretch((1.0, 2.0)))
    with sqlite3.connect(tmp_path / DATABASE_NAME) as connection:
        connection.execute("UPDATE score_history SET scores = x'0000803F00'")
    with ScoreHistory(tmp_path) as history:
        assert values(history) == [[1.0]]


def test_stretches_are_joined_where_nothing_lies_between_them():
    a, b, c, d = stretch(), stretch(continues=True), stretch(), stretch(continues=True, ceiling=9.0)
    assert joined([a, b, c, d]) == [[a, b], [c], [d]]


def test_a_version_that_scores_alike_goes_on_with_what_was_heard(tmp_path):
    with ScoreHistory(tmp_path) as history:
        append(history, stretch((1.0,)))
        append(history, stretch((9.0,)), stream="fan")
        append(history, stretch((2.0,)), bank=2)
        assert history.latest_other("pump", "anomaly", 2) == 1
        history.adopt("pump", "anomaly", 2, 1)
        assert (values(history), values(history, bank=2)) == ([], [[1.0], [2.0]])
        assert history.latest_other("pump", "anomaly", 2) is None
        assert values(history, "fan") == [[9.0]]
