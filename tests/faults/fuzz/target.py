"""What a fuzzer is given: something that takes bytes, and examples of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edged.errors import EdgedError


@dataclass(repr=False)
class Target:
    """A part of edged that reads what others wrote.

    Attributes:
        seeds: examples that are taken, or nearly.
        run: reads one; raises EdgedError where it refuses, anything else is a finding.
        words: what is worth putting in.
    """

    seeds: Sequence[bytes]
    run: Callable[[bytes], None]
    words: Sequence[str] = ()
    accepted: int = field(default=0, init=False)
    refused: int = field(default=0, init=False)

    @property
    def executions(self) -> int:
        """So far."""
        return self.accepted + self.refused

    def __call__(self, data: bytes) -> None:
        """One execution."""
        try:
            self.run(data)
        except EdgedError:
            self.refused += 1
        else:
            self.accepted += 1
