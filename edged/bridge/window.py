"""What was sent and is not acknowledged yet: bounded, and the cursor moves in the order of events."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from edged.events.cursor import Position

WINDOW_EVENTS = 64


@dataclass(slots=True)
class _Sent:
    position: Position | None
    waiting: set[int] = field(default_factory=set)


class Window:
    """Events on their way; a full window takes no more until the broker acknowledges."""

    def __init__(self, size: int = WINDOW_EVENTS) -> None:
        self._size = size
        self._sent: deque[_Sent] = deque()

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def is_full(self) -> bool:
        """Whether nothing more may be sent."""
        return len(self._sent) >= self._size

    def sent(self, position: Position | None, message_ids: set[int]) -> None:
        """An event was sent as these messages; with it, everything up to a position will have been dealt with."""
        self._sent.append(_Sent(position, set(message_ids)))

    def acknowledged(self, message_id: int) -> None:
        """The broker has one of the messages."""
        for sent in self._sent:
            if message_id in sent.waiting:
                sent.waiting.remove(message_id)
                return

    def take_position(self) -> Position | None:
        """How far everything is acknowledged now; None: no further than before."""
        position = None
        while self._sent and not self._sent[0].waiting:
            position = self._sent.popleft().position or position
        return position
