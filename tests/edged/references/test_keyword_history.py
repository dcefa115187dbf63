"""What came near to words: an hour a row, bounded, never half stored; damaged rows are passed over."""

import sqlite3

import numpy as np
import pytest

from edged.assembly import Assembly
from edged.clock import NS_PER_S
from edged.configfile import parse_config
from edged.decide.near_misses import NearMisses
from edged.errors import StateError
from edged.references import keyword_history
from edged.references.keyword import KeywordBank
from edged.references.keyword_history import KEPT_DAYS, NearMissHistory
from edged.score.keyword import KeywordModel
from edged.state import DATABASE_NAME

NOW_NS = 1_700_000_000 * NS_PER_S


def part(hours=0.1, distances=(0.8, 0.9), limit=0.7, matches=0):
    return NearMisses(hours, np.array(distances), 1.0, limit, matches)


@pytest.fixture
def history(tmp_path):
    with NearMissHistory(tmp_path) as opened:
        yield opened


def test_parts_of_an_hour_are_one_row_and_come_back(history):
    for distance in (0.85, 0.75):
        history.append("hall", {"w": part(0.25, [distance], matches=1)}, now_ns=NOW_NS)
    (found,) = history.parts("hall", "w")
    assert found.distances.tolist() == pytest.approx([0.75, 0.85])
    assert (found.hours, found.matches, found.limit) == (0.5, 2, 0.7)


def test_a_full_hour_another_limit_or_a_clock_set_back_begins_a_row(history):
    for hours, limit, now_ns in ((0.9, 0.7, NOW_NS), (0.2, 0.7, NOW_NS), (0.1, 0.6, NOW_NS), (0.1, 0.6, NOW_NS - 1)):
        history.append("hall", {"w": part(hours, limit=limit)}, now_ns=now_ns)
    assert [round(found.hours, 3) for found in history.parts("hall", "w")] == [0.9, 0.2, 0.1, 0.1]


def test_words_and_streams_do_not_mix(history):
    history.append("hall", {"w": part(), "v": part(0.3)}, now_ns=NOW_NS)
    history.append("yard", {"w": part(0.5)}, now_ns=NOW_NS)
    assert [found.hours for found in history.parts("hall", "v")] == [0.3]
    assert [found.hours for found in history.parts("yard", "w")] == [0.5]
    assert history.parts("yard", "v") == []


def test_it_is_bounded_by_age_and_number(history, monkeypatch):
    monkeypatch.setattr(keyword_history, "KEPT_ROWS", 5)
    monkeypatch.setattr(keyword_history, "MAX_STREAM_ROWS", 7)
    for hour in range(12):
        history.append("hall", {"w": part(1.0)}, now_ns=NOW_NS + hour)
        history.append("hall", {f"other {hour}": part(1.0)}, now_ns=NOW_NS + hour)
    assert len(history.parts("hall", "w")) <= 5
    assert history._connection.execute("SELECT COUNT(*) FROM near_misses").fetchone()[0] <= 7
    history.append("hall", {"new": part()}, now_ns=NOW_NS + round((KEPT_DAYS + 1) * 86_400 * NS_PER_S))
    assert history.parts("hall", "w") == []


def test_damaged_rows_are_passed_over(history):
    history.append("hall", {"w": part(1.0)}, now_ns=NOW_NS)
    for blob in (np.array([np.nan], "<f4"), np.array([0.9, 0.8], "<f4"), np.array([-1.0], "<f4")):
        history.append("hall", {"w": part(1.0)}, now_ns=NOW_NS)
        sql = "UPDATE near_misses SET distances=? WHERE id=(SELECT MAX(id) FROM near_misses)"
        history._connection.execute(sql, (blob.tobytes(),))
    assert len(history.parts("hall", "w")) == 1


@pytest.mark.parametrize(
    "damage", ["complete_below=0.0", "complete_below=9e9", "match_limit=-1", "hours=9e999", "matches=-1"]
)
def test_numbers_that_cannot_be_are_passed_over(history, damage):
    # the logarithm of a distance of 0 ended the thread that finds limits
    for _ in range(2):
        history.append("hall", {"w": part(1.0)}, now_ns=NOW_NS)
    sql = f"UPDATE near_misses SET {damage} WHERE id=(SELECT MAX(id) FROM near_misses)"  # noqa: S608 - constants only
    history._connection.execute(sql)
    assert len(history.parts("hall", "w")) == 1


def test_a_refusal_stores_nothing_and_says_so(history, monkeypatch):
    history.append("hall", {"w": part()}, now_ns=NOW_NS)

    def refuse(*_args):
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(history, "_append", refuse)
    with pytest.raises(StateError, match="disk full"):
        history.append("hall", {"w": part()}, now_ns=NOW_NS)
    assert [found.hours for found in history.parts("hall", "w")] == [0.1]


def test_a_history_that_cannot_be_opened_is_none(tmp_path):
    # the stream was started, and reported as one whose words cannot be used
    assembly = Assembly(parse_config({"state_dir": str(tmp_path)}, "test"))
    with sqlite3.connect(tmp_path / DATABASE_NAME) as connection:
        connection.execute("CREATE TABLE near_misses (other INTEGER)")
    with pytest.raises(StateError):
        NearMissHistory(tmp_path)
    templates = {"w": [np.eye(4, dtype=np.float32)]}
    bank = KeywordBank(1, (), (), KeywordModel.unmeasured(templates, 0.5))
    assert assembly.heard_by("hall", bank) == {}
