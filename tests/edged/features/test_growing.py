"""Joined when looked at: whatever is appended and dropped in between, the rows are the same as of one array."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edged.features.growing import Growing

STEPS = st.lists(st.tuples(st.sampled_from(["append", "drop", "look"]), st.integers(0, 7)), max_size=30)


@given(steps=STEPS)
def test_it_holds_what_one_array_would(steps):
    whole, tail, n_seen = np.empty((0, 2), np.float32), Growing(np.empty((0, 2), np.float32)), 0
    for what, n_rows in steps:
        if what == "append":
            rows = np.arange(n_seen, n_seen + 2 * n_rows, dtype=np.float32).reshape(-1, 2)
            n_seen += 2 * n_rows
            whole = np.concatenate([whole, rows])
            tail.append(rows)
        elif what == "drop":
            whole = whole[n_rows:]
            tail.drop(n_rows)
        else:
            np.testing.assert_array_equal(tail.joined(), whole)
        assert len(tail) == len(whole)
    np.testing.assert_array_equal(tail.joined(), whole)


def test_nothing_is_copied_until_somebody_looks():
    """Ten seconds were copied for every 40 ms of sound."""
    tail = Growing(np.zeros(10, np.float32))
    block = np.ones(4, np.float32)
    tail.append(block)
    assert tail._pieces[-1] is block
    assert np.shares_memory(tail.joined(), tail.joined())
