"""Which clips of a word are left out: those that cannot be used or are doubtful, if the others are enough. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from edged.references.clips import Clip, RefusedClip
from edged.references.gate import GateFinding, JudgedClip
from edged.references.templates import SpokenClip

LEAST_LEFT = 3
LEAST_LEFT_PERCENT = 60
MOST_ROUNDS = 3
"""Each compares all clips again. A set that still has doubtful ones then is doubtful as a whole."""

ClipKind = TypeVar("ClipKind", Clip, SpokenClip)


@dataclass(frozen=True)
class GivenClips(Generic[ClipKind]):
    """What was given of a word, each recording once.

    Attributes:
        clips: new ones that can be used, as far as is known yet; `refused`: those that cannot.
        n_enrolled: how many were given besides that the word has already.
    """

    clips: tuple[ClipKind, ...]
    refused: tuple[RefusedClip, ...] = ()
    n_enrolled: int = 0

    def is_enough(self, n_kept: int) -> bool:
        """Whether so many of the clips can do without the rest of what was given.

        >>> five = GivenClips((), (RefusedClip("a.wav", "silent", "silent"),) * 5)
        >>> [five.is_enough(n) for n in (2, 3)]
        [False, True]
        """
        n_left = n_kept + self.n_enrolled
        n_given = len(self.clips) + len(self.refused) + self.n_enrolled
        return n_kept > 0 and n_left >= LEAST_LEFT and 100 * n_left >= LEAST_LEFT_PERCENT * n_given

    @property
    def is_usable(self) -> bool:
        """Whether the clips can do without the refused ones, if there are any."""
        return not self.refused or self.is_enough(len(self.clips))


@dataclass(frozen=True)
class Sifted:
    """Clips of a word after the gate.

    Attributes:
        clips: those to be enrolled; `finding`: what the gate says of them.
        left_out: the doubtful ones that they do without.
    """

    clips: tuple[SpokenClip, ...]
    finding: GateFinding
    left_out: tuple[JudgedClip, ...] = ()


def sifted(given: GivenClips[SpokenClip], judge: Callable[[Sequence[SpokenClip]], GateFinding]) -> Sifted:
    """Leave doubtful clips out, and judge the others again without them, until none is doubtful or too few remain.

    Args:
        judge: what the gate says of clips together, and of each in their order.
    """
    kept, left_out = given.clips, tuple[JudgedClip, ...]()
    for _ in range(MOST_ROUNDS - 1):
        finding = judge(kept)
        fit = tuple(clip for clip, one in zip(kept, finding.clips, strict=True) if one.verdict != "doubtful")
        if len(fit) == len(kept) or not given.is_enough(len(fit)):
            return Sifted(kept, finding, left_out)
        left_out += tuple(replace(one, verdict="left out") for one in finding.clips if one.verdict == "doubtful")
        kept = fit
    return Sifted(kept, judge(kept), left_out)
