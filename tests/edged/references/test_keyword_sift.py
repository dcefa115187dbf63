"""Which clips of a word the others do without."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from edged.references.clips import RefusedClip
from edged.references.gate import GateFinding, JudgedClip
from edged.references.keyword_sift import MOST_ROUNDS, GivenClips, sifted
from tests.fakes.words import path, spoken

REFUSED = RefusedClip("dead.wav", "silent", "silent")
CLIPS = tuple(spoken(f"{k}.wav", path(k, 12)) for k in range(12))


def judging(*rounds):
    """A gate that doubts the clips of these names, more with every round."""
    asked = []

    def judge(clips):
        doubted = rounds[min(len(asked), len(rounds) - 1)]
        asked.append([one.clip.name for one in clips])
        verdicts = ["doubtful" if one.clip.name in doubted else "ok" for one in clips]
        judged = tuple(JudgedClip(one.clip.name, verdict) for one, verdict in zip(clips, verdicts, strict=True))
        return GateFinding(judged, tuple(one.name for one in judged if one.verdict == "doubtful"))

    return judge, asked


@drawn(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_at_least_three_clips_and_three_fifths_must_remain(n_kept, n_doubtful, n_refused, n_enrolled):
    clips, refused = CLIPS[:1] * (n_kept + n_doubtful), (REFUSED,) * n_refused
    given = GivenClips(clips, refused, n_enrolled)
    n_left, n_given = n_kept + n_enrolled, n_kept + n_doubtful + n_refused + n_enrolled
    expected = n_kept > 0 and n_left >= 3 and Fraction(n_left, n_given) >= Fraction(3, 5)
    assert given.is_enough(n_kept) == expected


@pytest.mark.parametrize(
    ("n_clips", "n_refused", "n_enrolled", "doubted", "is_left_out"),
    [
        (5, 0, 0, "01", True),
        (5, 0, 0, "012", False),
        (4, 0, 0, "0", True),
        (3, 0, 0, "0", False),
        (4, 1, 0, "0", True),
        (4, 2, 0, "0", False),
        (2, 0, 3, "0", True),
        (1, 0, 9, "0", False),
    ],
)
def test_doubtful_clips_are_left_out_or_none_is(n_clips, n_refused, n_enrolled, doubted, is_left_out):
    names = [f"{k}.wav" for k in doubted]
    judge, asked = judging(names)
    found = sifted(GivenClips(CLIPS[:n_clips], (REFUSED,) * n_refused, n_enrolled), judge)
    assert [one.name for one in found.left_out] == (names if is_left_out else [])
    assert {one.verdict for one in found.left_out} <= {"left out"}
    kept = [one.clip.name for one in found.clips]
    assert [one.name for one in found.finding.clips] == kept == asked[-1]
    assert list(found.finding.doubts) == ([] if is_left_out else names)


def test_the_others_are_judged_again_without_what_was_left_out():
    judge, asked = judging(["0.wav"], ["1.wav"])
    found = sifted(GivenClips(CLIPS[:5]), judge)
    assert [len(names) for names in asked] == [5, 4, 3]
    assert [one.name for one in found.left_out] == ["0.wav", "1.wav"]
    judge, asked = judging(["0.wav"], ["1.wav", "2.wav"])
    found = sifted(GivenClips(CLIPS[:5]), judge)
    assert ([one.name for one in found.left_out], found.finding.doubts) == (["0.wav"], ("1.wav", "2.wav"))


def test_a_set_of_which_clips_are_doubted_again_and_again_is_doubtful():
    """Every round costs as much as the gate does."""
    judge, asked = judging(*([f"{k}.wav"] for k in range(12)))
    found = sifted(GivenClips(CLIPS), judge)
    assert len(asked) == MOST_ROUNDS
    assert found.finding.doubts == (f"{MOST_ROUNDS - 1}.wav",)
    assert (len(found.clips), len(found.left_out)) == (12 - MOST_ROUNDS + 1, MOST_ROUNDS - 1)


def test_two_clips_of_one_name_are_two_clips():
    twins = (*CLIPS[:3], spoken("3.wav", path(3, 12)), spoken("3.wav", path(4, 12)))

    def judge(clips):
        return GateFinding(tuple(JudgedClip("3.wav", "doubtful" if one is twins[3] else "ok") for one in clips))

    assert sifted(GivenClips(twins), judge).clips == (*twins[:3], twins[4])
