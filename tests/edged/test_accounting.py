"""Every sample received is scored, dropped or pending: at every moment, for any blocks, gaps and epochs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.accounting import Accounting
from edged.features.anomaly import AnomalyFeatures, AnomalySpec
from edged.flow import Block, Embedding, Segment

steps = st.lists(
    st.tuples(
        st.integers(0, 40),  # samples of the block
        st.one_of(st.just(0), st.integers(0, 20)),  # samples lost before it
        st.booleans(),  # whether a new epoch begins with it
        st.booleans(),  # whether the worker catches up after it
    ),
    max_size=30,
)


class SlidingFeaturiser:
    """Segments of 16 samples, one every `hop`; at a gap the tail is handed out if a whole segment was seen before."""

    def __init__(self, hop):
        self.hop = hop
        self.restart(0, 0)

    def restart(self, sample, epoch):
        self.epoch, self.end, self.next_start, self.covered = epoch, sample, sample, sample
        self.has_segment = False

    def push(self, block):
        segments = []
        if block.lost_before or block.epoch != self.epoch or block.sample != self.end:
            segments = self.flush()
            self.restart(block.sample, block.epoch)
        self.end = block.end
        while self.end - self.next_start >= 16:
            segments.append(Segment(self.next_start, self.next_start + 16, {}, self.epoch))
            self.covered, self.has_segment = self.next_start + 16, True
            self.next_start += self.hop
        return segments

    def flush(self):
        has_tail = self.has_segment and self.end > self.covered
        return [Segment(self.end - 16, self.end, {}, self.epoch)] if has_tail else []


def blocks_of(script, start=0):
    sample, epoch = start, 0
    for n_samples, lost, new_epoch, catch_up in script:
        if new_epoch:
            epoch, sample = epoch + 1, 0
        sample += lost
        yield Block(sample, np.zeros(n_samples, np.float32), lost_before=lost, epoch=epoch), catch_up
        sample += n_samples


def assert_balanced(books):
    counts = books.as_dict()
    assert counts["received"] == counts["scored"] + counts["dropped"] + counts["pending"]
    assert counts["lost"] == counts["missing"] + counts["dropped"]
    assert min(counts.values()) >= 0


def score_all(books, waiting):
    for segment in waiting:
        books.score(Embedding(segment.sample_start, segment.sample_end, {}, segment.epoch))
    waiting.clear()


@given(script=steps, hop=st.integers(1, 16), start=st.integers(0, 100))
def test_the_books_always_balance_and_scored_is_what_segments_cover(script, hop, start):
    books, featuriser = Accounting(), SlidingFeaturiser(hop)
    waiting, covered, received, missing = [], set(), set(), 0
    for block, catch_up in blocks_of(script, start):
        segments = featuriser.push(block)
        books.advance(block, segments)
        waiting += segments
        received |= {(block.epoch, k) for k in range(block.sample, block.end)}
        missing += block.lost_before
        covered |= {(s.epoch, k) for s in segments for k in range(s.sample_start, s.sample_end)}
        if catch_up:
            score_all(books, waiting)
        assert_balanced(books)
        assert books.received == len(received)
    tail = featuriser.flush()
    books.finish(tail)
    covered |= {(s.epoch, k) for s in tail for k in range(s.sample_start, s.sample_end)}
    waiting += tail
    score_all(books, waiting)
    assert_balanced(books)
    assert books.pending == 0
    assert books.missing == missing
    assert books.scored == len(covered & received)


@given(
    script=st.lists(
        st.tuples(st.sampled_from([700, 3000, 17000]), st.sampled_from([0, 0, 900]), st.booleans(), st.booleans()),
        max_size=6,
    )
)
def test_the_real_featuriser_leaves_nothing_unaccounted_for(script):
    spec = AnomalySpec(segment_samples=16000, hop_samples=4096, inputs=(), n_mels=8)
    books, featuriser, waiting = Accounting(), AnomalyFeatures(spec), []
    for block, _ in blocks_of(script):
        segments = featuriser.push(block)
        books.advance(block, segments)
        waiting += segments
        assert_balanced(books)
    tail = featuriser.flush()
    books.finish(tail)
    score_all(books, [*waiting, *tail])
    assert_balanced(books)
    assert books.pending == 0


def test_a_stream_that_begins_late_owes_nothing_for_the_time_before():
    """Regression: samples before the first block counted as dropped."""
    books = Accounting()
    books.advance(Block(1000, np.zeros(10, np.float32)), [])
    books.finish([])
    assert books.as_dict() == {"received": 10, "scored": 0, "dropped": 10, "missing": 0, "lost": 10, "pending": 0}


@pytest.mark.parametrize("lost", [0, 5])
def test_a_new_epoch_drops_what_the_old_one_left(lost):
    books = Accounting()
    books.advance(Block(0, np.zeros(10, np.float32)), [Segment(0, 8, {})])
    books.advance(Block(lost, np.zeros(3, np.float32), lost_before=lost, epoch=1), [])
    books.score(Embedding(0, 8, {}))
    assert (books.dropped, books.missing, books.pending) == (2, lost, 3)
