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
    >>> books.advance(Block(0, np.zeros(10, np.float32)), [Segment(0, 8, {})])
    >>> books.advance(Block(15, np.zeros(5, np.float32), lost_before=5), [])
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

    def advance(self, block: Block, segments: Sequence[Segment]) -> None:
        """A block came in, and the featuriser made these segments of it and of what it still held."""
        if block.lost_before or block.epoch != self._epoch or block.sample != self._position:
            ended = [s for s in segments if s.epoch == self._epoch and s.sample_end <= self._position]
            self._hand_out(ended)
            self.close()
            self._epoch = block.epoch
            self._position = self._handed_out_until = block.sample
            self.missing += block.lost_before
            segments = segments[len(ended) :]
        self._position = block.end
        self.received += len(block.samples)
        self._hand_out(segments)

    def finish(self, segments: Sequence[Segment]) -> None:
        """The signal ended; the featuriser's last segments."""
        self._hand_out(segments)
        self.close()

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
        """The signal broke off: what no segment took is dropped."""
        self.dropped += self._position - self._handed_out_until
        self._handed_out_until = self._position

    def as_dict(self) -> dict[str, int]:
        """All counters by name."""
        names = ("received", "scored", "dropped", "missing", "lost", "pending")
        return {name: int(getattr(self, name)) for name in names}

    def _hand_out(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            self._handed_out_until = max(self._handed_out_until, segment.sample_end)
