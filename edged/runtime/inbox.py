"""The bounded queue of one stream between its reader and the worker."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

from edged.flow import Block


class Inbox:
    """Blocks on their way to the worker, never more than ``capacity_samples``.

    When it is full, a live stream loses blocks (the next one that fits declares them), any other stream waits.

    Args:
        changed: notified about every change; shared by all inboxes of a worker.
    """

    def __init__(self, capacity_samples: int, changed: threading.Condition, *, is_live: bool) -> None:
        self._capacity_samples = capacity_samples
        self._changed = changed
        self._is_live = is_live
        self._blocks: deque[Block] = deque()
        self._unsaid_loss = 0
        self._last_loss: int | None = None  # set when nothing more will come
        self.queued_samples = 0
        self.overflowed_samples = 0

    @property
    def is_over(self) -> bool:
        """Whether the stream has ended and everything was taken."""
        return self._last_loss is not None and not self._blocks

    def put(self, block: Block) -> None:
        """Queue a block (reader's side); after :meth:`end` it counts as lost."""
        with self._changed:
            if not self._is_live:
                self._changed.wait_for(lambda: self._fits(block) or self._last_loss is not None)
            if self._last_loss is not None or not self._fits(block):
                self._lose(block)
                return
            self._blocks.append(replace(block, lost_before=block.lost_before + self._unsaid_loss))
            self._unsaid_loss = 0
            self.queued_samples += len(block.samples)
            self._changed.notify_all()

    def end(self, lost_after: int = 0) -> None:
        """Nothing more will come; ``lost_after`` samples are lost at the very end."""
        with self._changed:
            if self._last_loss is None:
                self._last_loss = lost_after + self._unsaid_loss
                self._changed.notify_all()

    def take(self, max_samples: int) -> list[Block]:
        """Some of the oldest blocks (worker's side): at least one if there is one."""
        with self._changed:
            taken: list[Block] = []
            n_samples = 0
            while self._blocks and (not taken or n_samples + len(self._blocks[0].samples) <= max_samples):
                taken.append(self._blocks.popleft())
                n_samples += len(taken[-1].samples)
            self.queued_samples -= n_samples
            self._changed.notify_all()
        return taken

    @property
    def has_blocks(self) -> bool:
        """Whether the worker finds something."""
        return bool(self._blocks)

    @property
    def lost_at_end(self) -> int:
        """Samples lost after the last block, once the stream is over."""
        return self._last_loss or 0

    def _fits(self, block: Block) -> bool:
        return not self._blocks or self.queued_samples + len(block.samples) <= self._capacity_samples

    def _lose(self, block: Block) -> None:
        self.overflowed_samples += len(block.samples)
        lost = block.lost_before + len(block.samples)
        if self._last_loss is None:
            self._unsaid_loss += lost
        else:
            self._last_loss += lost
