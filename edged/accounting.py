"""Exact sample accounting of one monitor: nothing heard is ever unaccounted for.

    received == scored + dropped + pending        lost == missing + dropped

`missing` never arrived (a declared gap); `dropped` arrived but a gap or the end came before its segment was complete.
"""

from __future__ import annotations

from collections.abc import Sequence

from edged.flow import Block, Embedding, Segment


class Accounting:
    """Counts samples on their way through a monitor; fed by the monitor, read by `status` and metrics.

    >>> import numpy as np
    >>> books = Accounting()
    >>> books.receive(Block(0, np.zeros(10, np.float32)))
    >>> books.hand_out([Segment(0, 8, {})])
    >>> books.receive(Block(15, np.zeros(5, np.float32), lost_before=5))
    >>> books.score(Embedding(0, 8, {}))
    >>> books.as_dict()
    {'received': 15, 'scored': 8, 'dropped': 2, 'missing': 5, 'lost': 7, 'pending': 5}
    """

    def __init__(self) -> None:
        self.received = 0
        self.scored = 0
        self.dropped = 0
        self.missing = 0
        self._position = 0
        self._handed_out_until = 0
        self._scored_until = 0
        self._epoch = 0
        self._scored_epoch = 0

    @property
    def lost(self) -> int:
        """Samples that were never scored and never will be."""
        return self.missing + self.dropped

    @property
    def pending(self) -> int:
        """Samples received that still wait for their segment to be complete or scored."""
        return self.received - self.scored - self.dropped

    def receive(self, block: Block) -> None:
        """A block came in."""
        if block.epoch != self._epoch:
            self.close()
            self._epoch = block.epoch
            self._position = self._handed_out_until = block.sample - block.lost_before
        if block.lost_before:
            self.close()
            self.missing += block.lost_before
            self._handed_out_until = block.sample
        self._position = block.end
        self.received += len(block.samples)

    def hand_out(self, segments: Sequence[Segment]) -> None:
        """Segments left for the embedder."""
        for segment in segments:
            self._handed_out_until = max(self._handed_out_until, segment.sample_end)

    def score(self, embedding: Embedding) -> None:
        """An embedding was scored."""
        if embedding.epoch != self._scored_epoch:
            self._scored_epoch, self._scored_until = embedding.epoch, embedding.sample_start
        self._scored_until = max(self._scored_until, embedding.sample_start)
        fresh = embedding.sample_end - self._scored_until
        if fresh > 0:
            self.scored += fresh
            self._scored_until = embedding.sample_end

    def close(self) -> None:
        """The signal ended or broke off: what no segment took is dropped."""
        self.dropped += self._position - self._handed_out_until
        self._handed_out_until = self._position

    def as_dict(self) -> dict[str, int]:
        """All counters by name."""
        names = ("received", "scored", "dropped", "missing", "lost", "pending")
        return {name: int(getattr(self, name)) for name in names}
