"""Which classes are known, which are known not to matter, and which come as a surprise (thesis 6.2, Table 28)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edged.errors import UsageError
from trainer.evaluate.open_set import openness

Openness = Literal["low", "middle", "high"]

THRESHOLDS: dict[Openness, float] = {"low": 0.6, "middle": 0.65, "high": 0.75}
"""Cosine to a known class from which on a sample belongs to it (6.2.2)."""


@dataclass(frozen=True)
class Roles:
    """The classes of one version of a data set.

    Attributes:
        targets: known classes that are to be told apart.
        known_unknowns: other classes with training samples.
        unknowns: classes that occur in the test only.
    """

    targets: tuple[str, ...]
    known_unknowns: tuple[str, ...]
    unknowns: tuple[str, ...]

    @property
    def trained(self) -> tuple[str, ...]:
        """Classes with training samples, the targets first."""
        return (*self.targets, *self.known_unknowns)

    @property
    def openness(self) -> float:
        """Eq. 63."""
        return openness(len(self.trained), len(self.trained) + len(self.unknowns))


def assign_roles(
    names: Collection[str],
    level: Openness,
    seed: int,
    *,
    non_targets: Sequence[str] = (),
    n_non_targets: int = 3,
) -> Roles:
    """Roles as in Table 28: of the non-targets all are known (low), half of them (middle), or none (high).

    Args:
        names: all classes.
        level: of openness.
        seed: of what is drawn: the non-targets if none are named, and which of them are known.
        non_targets: classes that are no targets; empty to draw `n_non_targets` of them.

    Raises:
        UsageError: classes that do not exist, or fewer than two targets left.
    """
    missing = sorted(set(non_targets) - set(names))
    if missing:
        raise UsageError(f"no classes {', '.join(missing)}", fix=f"choose from {', '.join(sorted(names))}")
    rng = np.random.default_rng((seed, 28))
    chosen = list(dict.fromkeys(non_targets)) or rng.permutation(sorted(names))[:n_non_targets].tolist()
    targets = tuple(sorted(set(names) - set(chosen)))
    if len(targets) < 2:
        raise UsageError(f"{len(targets)} targets among {len(names)} classes", fix="name fewer non-targets")
    shuffled = [str(name) for name in rng.permutation(sorted(chosen))]
    n_known = {"low": len(chosen), "middle": -(-len(chosen) // 2), "high": 0}[level]
    return Roles(targets, tuple(shuffled[:n_known]), tuple(shuffled[n_known:]))
