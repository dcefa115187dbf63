import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.flow import SAMPLE_RATE_HZ, Block
from edged.ring import Ring


def exact(start, n):
    """16-bit values that say their own index."""
    return ((np.arange(start, start + n) % 30000) / 32768).astype(np.float32)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 400), st.sampled_from([0, 0, 0, 50])), min_size=1, max_size=20))
def test_copies_out_what_was_written_cut_at_gaps(pieces):
    ring = Ring(500 / SAMPLE_RATE_HZ)
    heard, position = set(), 0
    for length, lost in pieces:
        block = Block(position + lost, exact(position + lost, length), lost_before=lost)
        ring.write(block)
        heard |= set(range(block.sample, block.end))
        position = block.end
    stretches = ring.last(1.0)
    got = [k for s in stretches for k in range(s.sample, s.sample + len(s.samples))]
    assert got == sorted(k for k in heard if k >= position - 500)
    for stretch in stretches:
        np.testing.assert_array_equal(stretch.samples, exact(stretch.sample, len(stretch.samples)))


def test_asks_for_less_and_gets_the_newest():
    ring = Ring(1.0)
    ring.write(Block(0, exact(0, 10000)))
    (stretch,) = ring.last(0.1)
    assert (stretch.sample, len(stretch.samples)) == (8400, 1600)


def test_never_heard_anything():
    assert Ring(1.0).last(1.0) == []


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 400), st.sampled_from([0, 0, 50])), min_size=1, max_size=12),
    st.integers(-100, 3000),
    st.integers(0, 900),
)
def test_copies_out_any_span_as_far_as_it_is_held(pieces, start, length):
    ring = Ring(500 / SAMPLE_RATE_HZ)
    heard, position = set(), 0
    for n_samples, lost in pieces:
        block = Block(position + lost, exact(position + lost, n_samples), lost_before=lost)
        ring.write(block)
        heard |= set(range(block.sample, block.end))
        position = block.end
    stretches = ring.between(start, start + length)
    got = [k for s in stretches for k in range(s.sample, s.sample + len(s.samples))]
    assert got == sorted(k for k in heard if max(position - 500, start) <= k < start + length)
    for stretch in stretches:
        np.testing.assert_array_equal(stretch.samples, exact(stretch.sample, len(stretch.samples)))
