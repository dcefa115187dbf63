"""A match stands if its word is the nearest; the rows it is judged by are those of the stretch, however they came."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.score.keyword import KeywordModel
from edged.score.verification import RowMemory, Verification, counter_key
from tests.fakes.words import background, path, said

MODEL = KeywordModel.fit(
    {
        "stop": [said(1, s) for s in range(3)],
        counter_key("stop", "shop"): [said(2, s) for s in range(3)],
        counter_key("stop", "top"): [said(3, s) for s in range(3)],
        "go": [said(4, s) for s in range(3)],
        counter_key("go", "no"): [said(1, s) for s in range(3)],
    },
    background(600),
    1.0,
)


@pytest.mark.parametrize(
    ("word", "spoken", "stands"),
    [
        ("stop", 1, True),
        ("stop", 2, False),
        ("stop", 3, False),
        ("go", 4, True),
        ("go", 1, False),
        ("unknown", 2, True),
    ],
)
def test_a_match_stands_unless_a_counter_example_of_its_own_word_is_nearer(word, spoken, stands):
    rows = np.concatenate([path(90, 4), said(spoken, 9)])
    verification = Verification(MODEL)
    assert verification.upholds(word, rows) is stands
    assert verification.upholds(word, rows) is stands  # nothing is kept of the first time


def test_a_match_of_no_rows_stands():
    assert Verification(MODEL).upholds("stop", np.zeros((0, 24), np.float32))


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(1, 60), st.data())
def test_the_memory_gives_the_same_rows_however_they_came(cuts, n_kept, data):
    whole = np.arange(sum(cuts), dtype=np.float32)[:, np.newaxis]
    memory, at = RowMemory(n_kept), 0
    for n_rows in cuts:
        memory.add(whole[at : at + n_rows])
        at += n_rows
    first = data.draw(st.integers(max(0, at - n_kept), at))
    last = data.draw(st.integers(first, at))
    assert memory.rows(first, last).tolist() == whole[first:last].tolist()
    assert sum(map(len, memory._parts)) <= n_kept + max(cuts)
    assert memory.rows(-4, last).tolist() == memory.rows(0, last).tolist()


def test_the_memory_does_not_keep_what_the_caller_writes_over():
    memory, rows = RowMemory(5), np.ones((3, 1), np.float32)
    memory.add(rows)
    rows[:] = 0.0
    assert memory.rows(0, 3).tolist() == [[1.0]] * 3
    memory.reset()
    assert len(memory.rows(0, 3)) == 0
