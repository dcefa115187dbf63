"""Which clips a bank keeps that has grown beyond its bound: those that cover what it knows, whatever their age.

Within a domain clips are kept farthest-first (Gonzalez 1985): always the one that holds the segment farthest from all
that is kept already. A farthest-first choice covers a set at most twice as coarsely as the best choice of that size.
Between domains the source yields first: target domains are small and were enrolled because they matter now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.flow import Float64Array
from edged.references.joint import nearest_distances
from edged.score.references import SOURCE


@dataclass(frozen=True)
class Reduction:
    """What was given up.

    Attributes:
        kept: numbers of the clips that stay, ascending.
        dropped: domain -> how many of its clips went.
        coverage: largest distance of a dropped segment to the nearest kept one, over the median distance of kept
            segments to each other's nearest: about 1 where nothing of what was known is lost.
    """

    kept: tuple[int, ...]
    dropped: Mapping[str, int]
    coverage: float


def reduced(
    points: Float64Array, clip_of_row: NDArray[np.int64], domain_of_clip: Sequence[str], max_rows: int
) -> Reduction:
    """Choose whole clips that hold no more than `max_rows` segments together.

    Args:
        points: (n_rows, dim), every segment as one point.
        clip_of_row: (n_rows,), number of the clip each was cut from; numbers index `domain_of_clip`.
    """
    rows_of_clip = np.bincount(clip_of_row, minlength=len(domain_of_clip))
    domains = list(dict.fromkeys(domain_of_clip))
    sizes = {d: int(sum(rows_of_clip[c] for c, label in enumerate(domain_of_clip) if label == d)) for d in domains}
    kept: list[int] = []
    for domain, quota in quotas(sizes, max_rows).items():
        clips = [clip for clip, label in enumerate(domain_of_clip) if label == domain]
        kept += clips if sizes[domain] <= quota else _farthest_first(points, clip_of_row, clips, quota)
    kept += _one_of_each(rows_of_clip, domain_of_clip, kept, max_rows)
    kept.sort()
    dropped = {
        d: sum(domain_of_clip[c] == d for c in range(len(domain_of_clip)) if c not in set(kept)) for d in domains
    }
    return Reduction(tuple(kept), {d: n for d, n in dropped.items() if n}, _coverage(points, clip_of_row, kept))


def _one_of_each(
    rows_of_clip: NDArray[np.int64], domain_of_clip: Sequence[str], kept: Sequence[int], max_rows: int
) -> list[int]:
    """The smallest clip of every domain whose share holds none of its clips, as far as room is left."""
    left = max_rows - int(rows_of_clip[list(kept)].sum())
    smallest: dict[str, int] = {}
    for clip in np.argsort(rows_of_clip, kind="stable").tolist():
        smallest.setdefault(domain_of_clip[clip], clip)
    chosen: list[int] = []
    has_some = {domain_of_clip[clip] for clip in kept}
    for domain, clip in smallest.items():
        if domain not in has_some and rows_of_clip[clip] <= left:
            chosen.append(clip)
            left -= int(rows_of_clip[clip])
    return chosen


def quotas(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """Rows each domain may keep: targets everything, as long as the source then keeps an equal share.

    Where that is not enough the targets share the rest evenly, small ones whole.

    >>> quotas({"source": 900, "night": 80}, 500)
    {'source': 420, 'night': 80}
    >>> quotas({"source": 900, "night": 400, "hot": 50}, 300)
    {'source': 100, 'night': 150, 'hot': 50}
    """
    targets = {domain: size for domain, size in sizes.items() if domain != SOURCE}
    of_source = sizes.get(SOURCE, 0)
    source = min(of_source, max(total - sum(targets.values()), total // max(len(sizes), 1)))
    shares = _even_shares(targets, total - source)
    if of_source:
        shares[SOURCE] = total - sum(shares.values())
    return {domain: min(shares[domain], size) for domain, size in sizes.items()}


def _even_shares(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """The same for all that need it (max-min fair); smaller ones need less."""
    shares: dict[str, int] = {}
    left = total
    for number, (domain, size) in enumerate(sorted(sizes.items(), key=lambda item: (item[1], item[0]))):
        shares[domain] = min(size, left // (len(sizes) - number))
        left -= shares[domain]
    return shares


def _farthest_first(points: Float64Array, clip_of_row: NDArray[np.int64], clips: list[int], quota: int) -> list[int]:
    """Clips of one domain, beginning with the most typical, as many as fit."""
    rows = np.flatnonzero(np.isin(clip_of_row, clips))
    own, owner = points[rows], clip_of_row[rows]
    size = np.bincount(owner, minlength=int(owner.max()) + 1)
    gap = -np.linalg.norm(own - own.mean(axis=0), axis=1)  # the first choice is the nearest to the middle
    kept: list[int] = []
    left = quota
    while True:
        fits = (size[owner] <= left) & ~np.isin(owner, kept)
        if not fits.any():
            return kept
        chosen = int(owner[np.flatnonzero(fits)[np.argmax(gap[fits])]])
        distances = nearest_distances(own, own[owner == chosen])
        gap = np.minimum(gap, distances) if kept else distances
        kept.append(chosen)
        left -= int(size[chosen])


def _coverage(points: Float64Array, clip_of_row: NDArray[np.int64], kept: Sequence[int]) -> float:
    stays = np.isin(clip_of_row, kept)
    inside, outside, owner = points[stays], points[~stays], clip_of_row[stays]
    if not len(outside) or len(set(owner.tolist())) < 2:
        return 1.0
    usual = np.median([nearest_distances(inside[owner == c], inside[owner != c]).min() for c in set(owner.tolist())])
    return float(nearest_distances(outside, inside).max() / max(usual, 1e-12))
