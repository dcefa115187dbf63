"""When a clip of a word is doubted. Of few clips only clear evidence counts: there is little to compare them with.

Chosen in tests/bench/keyword_gate.py. All distances are in units of `keyword_gate_set`: 1 = any other speech.
"""

from __future__ import annotations

from dataclasses import dataclass

FEW_CLIPS = 4
"""Of fewer clips none is left out, and a doubt holds all of them up."""


@dataclass(frozen=True)
class ClipDoubts:
    """Limits of one clip beside its siblings.

    Attributes:
        odd: so far from its siblings, seen by them or both ways, a clip is hardly of their word.
        over_others: and so much farther than the others are from theirs: words that nobody says alike have no odd ones.
        cut_share: so much of the others' word, and `cut_s` seconds, lie beyond an edge that the sound runs into;
            the others find the clip `cut_over_others` times as hard as each other.
        amid_cut_share, amid_cut_over_others: the same where most of the others run into that edge too, as words cut out
            of running speech do.
        noisy_db: so little the word stands out of its background, and the others find it `noisy_over_others` times as
            hard as each other.
        drowned_db: the same where there are no others.
    """

    odd: float = 0.8
    over_others: float = 1.4
    cut_share: float = 0.25
    cut_s: float = 0.06
    cut_over_others: float = 1.15
    amid_cut_share: float = 0.4
    amid_cut_over_others: float = 1.5
    noisy_db: float = 8.0
    noisy_over_others: float = 1.25
    drowned_db: float = 4.5


ORDINARY = ClipDoubts()
CLEAR = ClipDoubts(
    odd=0.85, over_others=1.5, cut_share=0.35, cut_s=0.09, cut_over_others=1.4, amid_cut_share=0.5,
    amid_cut_over_others=1.8, noisy_db=6.5, noisy_over_others=1.5, drowned_db=3.5,
)  # fmt: skip
APART = ClipDoubts(odd=0.65)
"""Beyond this a clip is shown to stand apart; no doubt."""
