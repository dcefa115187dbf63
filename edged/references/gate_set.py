"""Does a set of new clips hold together? Outliers in it, and sets that hold two kinds of sound.

A clip is an outlier if it would have raised a clear alarm under a bank that holds everything but it. Two kinds of
sound are in a set if one part of it, taken out, lies beyond the threshold of the rest and apart from it; the parts are
found by the longest link of the minimum spanning tree between clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edged.embed.bundle import Bundle
from edged.flow import Float64Array
from edged.references.anomaly import PIECES_PER_CLIP, AnomalyBank, bank_without, fitted_bank, labelled_bank
from edged.references.joint import JointSpace, nearest_distances

LEAST_CLIPS = 5
"""Of fewer none can be called an outlier: too little is known of the rest."""
MAX_ROWS_REFITTED = 800
"""Of larger banks every clip's segments are thinned out first; with more clips than this, one hardly matters."""
N_SUSPECTS = 2
OUTLIER = 2.5
OTHER_KIND = 4.0
"""Times the threshold: so far from the others a part of a set is another kind, however the set is spread."""
OVER_NEXT, OVER_MEDIAN = 1.6, 2.0
"""Three clips or more beyond the threshold are another kind already if the link to them is so much longer than others.

Measured in tests/bench/gate.py: no set of a real machine or of the demo's plants is doubted (148 sets), of synthetic
machines with something loud passing by 4 in 128; of sets with clips of another machine 8 or 9 in 10.
"""


@dataclass(frozen=True)
class SetFinding:
    """What was found of a set.

    Attributes:
        scores: leave-one-clip-out score of every new clip, by number; those without company are left out.
        outliers: number of a clip -> its score without it, in thresholds.
        other_kind: numbers of the clips of the smaller kind, where there are two.
        other_distance: their median score by the others alone, in thresholds.
        apart: number of a clip that stands apart, alone or in two, without being a clear outlier -> its distance; a set
            recorded while now and then something passed by has such clips, so this is for the operator to know.
    """

    scores: dict[int, float]
    outliers: dict[int, float]
    other_kind: tuple[int, ...] = ()
    other_distance: float = 0.0
    apart: dict[int, float] = field(default_factory=dict)


def set_finding(bundle: Bundle, bank: AnomalyBank, fresh: Sequence[int]) -> SetFinding:
    """Look at new clips.

    Args:
        bank: fitted with them.
        fresh: their numbers in `bank.clips`.
    """
    scores = left_out_scores(bank, fresh)
    if len(fresh) < LEAST_CLIPS:
        return SetFinding(scores, {})
    bank = _thinned(bundle, labelled_bank(bundle, bank, ()))  # labels move the threshold, which is the unit here
    if len(clip_of_row(bank)) > MAX_ROWS_REFITTED:
        return SetFinding(scores, {c: s / bank.threshold for c, s in scores.items() if s > OUTLIER * bank.threshold})
    part, distance, stands_out = _smaller_part(bundle, bank, fresh)
    is_other = len(part) > 1 and distance > (1.0 if stands_out and len(part) > 2 else OTHER_KIND)
    other_kind = tuple(part) if is_other else ()
    alone = part if len(part) <= N_SUSPECTS else []  # of two clips, a long one looks normal by its other pieces
    suspects = dict.fromkeys([*alone, *sorted(scores, key=lambda clip: -scores[clip])[:N_SUSPECTS]])
    ratios = {clip: _distance_without(bundle, bank, [clip]) for clip in suspects if clip not in other_kind}
    outliers = {clip: ratio for clip, ratio in ratios.items() if ratio > OUTLIER}
    apart = {clip: distance for clip in part if stands_out and distance > 1.0 and clip not in {*outliers, *other_kind}}
    return SetFinding(scores, outliers, other_kind, distance, apart)


def left_out_scores(bank: AnomalyBank, clips: Sequence[int]) -> dict[int, float]:
    """Mean leave-one-clip-out score of clips, as far as they have company (see `anomaly.left_out_together`)."""
    owner = clip_of_row(bank)
    scores = bank.scorer.normal_scores
    means = {clip: scores[(owner == clip) & np.isfinite(scores)] for clip in clips}
    return {clip: float(own.mean()) for clip, own in means.items() if len(own)}


def clip_of_row(bank: AnomalyBank) -> NDArray[np.int64]:
    """Number of the clip of every reference, (n_references,)."""
    return np.asarray(next(iter(bank.references.values())).clips // PIECES_PER_CLIP)


def joint_points(bank: AnomalyBank) -> tuple[JointSpace, Float64Array]:
    """The space of a bank's references, and they as points (n_references, dim)."""
    vectors = {name: set_.vectors for name, set_ in bank.references.items()}
    space = JointSpace.of(vectors, {part.name: part.weight for part in bank.scorer.parts})
    return space, space.points(vectors)


def _thinned(bundle: Bundle, bank: AnomalyBank) -> AnomalyBank:
    """With every second, third ... segment of each clip, so that no more than `MAX_ROWS_REFITTED` are left.

    Its first one always stays; a bank that is small enough is given back as it is.
    """
    owner = clip_of_row(bank)  # ascending
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    step = 1
    while np.count_nonzero(place % step == 0) > MAX_ROWS_REFITTED and step <= place.max():
        step += 1
    if step == 1:
        return bank
    kept = {name: set_.select(place % step == 0) for name, set_ in bank.references.items()}
    return fitted_bank(bundle, bank.clips, kept, bank.scoring)


def _distance_without(bundle: Bundle, bank: AnomalyBank, clips: Sequence[int]) -> float:
    """Median score of clips by a bank that never had them, in its thresholds."""
    rest = bank_without(bundle, bank, clips)
    owner = clip_of_row(bank)
    scores = [
        float(np.mean(rest.scorer.scores({name: set_.vectors[owner == c] for name, set_ in bank.references.items()})))
        for c in clips
    ]
    return float(np.median(scores)) / rest.threshold


def _smaller_part(bundle: Bundle, bank: AnomalyBank, fresh: Sequence[int]) -> tuple[list[int], float, bool]:
    """Clips beyond the longest link between clips, how far they are from the others, and whether the link stands out.

    Nothing where too few others are left to judge them by.
    """
    _, points = joint_points(bank)
    owner = clip_of_row(bank)
    cut = longest_link_cut(np.stack([points[owner == clip].mean(axis=0) for clip in fresh]))
    inside = ~cut.side if cut.side.sum() * 2 > len(cut.side) else cut.side
    part = [clip for clip, is_inside in zip(fresh, inside, strict=True) if is_inside]
    if len(fresh) - len(part) < 3:
        return [], 0.0, False
    return part, _distance_without(bundle, bank, part), cut.stands_out


class Cut(NamedTuple):
    """A minimum spanning tree, cut at its longest link.

    Attributes:
        side: bool (n,), the points on one side.
        stands_out: whether the link is much longer than all others.
    """

    side: NDArray[np.bool_]
    stands_out: bool


def longest_link_cut(points: Float64Array) -> Cut:
    """Cut points (n, dim) in two, n > 2.

    >>> longest_link_cut(np.array([[0.0], [1.0], [9.0], [10.0]])).side.tolist()
    [False, False, True, True]
    """
    links = _spanning_tree(points)
    cut = max(range(len(links)), key=lambda index: links[index][0])
    side = np.zeros(len(points), np.bool_)
    side[links[cut][2]] = True
    for _, parent, child in links[cut + 1 :]:  # a child joins after its parent
        side[child] = side[parent]
    others = sorted(length for length, *_ in links[:cut] + links[cut + 1 :])
    longest = links[cut][0]
    stands_out = longest > OVER_NEXT * others[-1] and longest > OVER_MEDIAN * float(np.median(others))
    return Cut(side, stands_out)


def _spanning_tree(points: Float64Array) -> list[tuple[float, int, int]]:
    """(length, parent, child) in the order in which the children join, from point 0 on."""
    distance = np.stack([nearest_distances(points, point[np.newaxis]) for point in points])
    gap, parent = distance[0].copy(), np.zeros(len(points), np.int64)
    gap[0] = np.inf
    joined = np.zeros(len(points), np.bool_)
    joined[0] = True
    links = []
    for _ in range(len(points) - 1):
        child = int(np.argmin(gap))
        links.append((float(gap[child]), int(parent[child]), child))
        joined[child] = True
        nearer = ~joined & (distance[child] < np.where(joined, -np.inf, gap))
        gap[nearer], parent[nearer] = distance[child][nearer], child
        gap[child] = np.inf
    return links
