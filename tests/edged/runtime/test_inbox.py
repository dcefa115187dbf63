import threading

import numpy as np

from edged.flow import Block
from edged.runtime.inbox import Inbox


def block(sample, n=100, lost=0):
    return Block(sample, np.zeros(n, np.float32), lost_before=lost)


def inbox(capacity=250, is_live=True):
    return Inbox(capacity, threading.Condition(), is_live=is_live)


def test_a_live_stream_loses_what_does_not_fit_and_the_next_block_says_so():
    queue = inbox()
    for sample in (0, 100, 200, 300):
        queue.put(block(sample))
    taken = queue.take(10_000)
    queue.put(block(450, lost=50))
    (after,) = queue.take(10_000)
    assert [b.sample for b in taken] == [0, 100]
    assert (after.sample, after.lost_before) == (450, 250)
    assert queue.overflowed_samples == 200
    assert queue.queued_samples == 0


def test_a_finite_stream_waits_and_loses_nothing():
    queue = inbox(is_live=False)
    writer = threading.Thread(target=lambda: [queue.put(block(100 * n)) for n in range(50)])
    writer.start()
    taken = []
    while len(taken) < 50:
        taken += queue.take(100)
    writer.join()
    assert [b.sample for b in taken] == list(range(0, 5000, 100))
    assert queue.overflowed_samples == 0


def test_the_end_frees_a_waiting_writer_and_counts_the_rest_as_lost():
    queue = inbox(is_live=False)
    queue.put(block(0, 250))
    writer = threading.Thread(target=queue.put, args=[block(250, 100, lost=7)])
    writer.start()
    queue.end(lost_after=10)
    writer.join(10.0)
    assert not writer.is_alive()
    assert not queue.is_over
    queue.take(10_000)
    assert queue.is_over
    assert queue.lost_at_end == 10 + 107


def test_a_block_larger_than_the_queue_passes_an_empty_one():
    queue = inbox(capacity=10)
    queue.put(block(0, 100))
    assert len(queue.take(1)) == 1
