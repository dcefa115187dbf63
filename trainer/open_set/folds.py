"""K-shot folds (thesis 6.2.1, Table 28): each trains on K clips per class and is judged by all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.errors import AudioError
from trainer.open_set.clips import SoundClip
from trainer.open_set.roles import Roles


@dataclass(frozen=True)
class Fold:
    """Clips to train on and to judge; no recording is in both."""

    roles: Roles
    train: tuple[SoundClip, ...]
    test: tuple[SoundClip, ...]

    @property
    def train_classes(self) -> NDArray[np.int64]:
        """Indices into `roles.trained`: (n_train,)."""
        return np.array([self.roles.trained.index(clip.name) for clip in self.train], np.int64)

    @property
    def test_classes(self) -> NDArray[np.int64]:
        """Indices of the targets, -1 for every other class: (n_test,)."""
        targets = {name: index for index, name in enumerate(self.roles.targets)}
        return np.array([targets.get(clip.name, -1) for clip in self.test], np.int64)


def few_shot_folds(clips: Sequence[SoundClip], roles: Roles, shots: int, seed: int) -> list[Fold]:
    """As many folds as every trained class has clips for: 40 clips give 40 folds of 1 shot, 20 of 2, 10 of 4.

    Args:
        clips: of all classes.
        roles: of the classes.
        shots: training clips per class.
        seed: of the order in which clips become shots.

    Raises:
        AudioError: a class with too few clips, or nothing left to judge.
    """
    rng = np.random.default_rng((seed, shots))
    by_class = {name: [clip for clip in clips if clip.name == name] for name in roles.trained}
    poorest = min(by_class, key=lambda name: len(by_class[name]))
    n_folds = len(by_class[poorest]) // shots
    if n_folds == 0:
        raise AudioError(f"class '{poorest}' has {len(by_class[poorest])} clips, not {shots}", fix="add clips")
    shuffled = {name: [own[i] for i in rng.permutation(len(own))] for name, own in by_class.items()}
    folds = []
    for k in range(n_folds):
        train = [clip for name in roles.trained for clip in shuffled[name][k * shots : (k + 1) * shots]]
        folds.append(_fold(roles, train, clips))
    return folds


def _fold(roles: Roles, train: Sequence[SoundClip], clips: Sequence[SoundClip]) -> Fold:
    """Judged by what is of no shot's recording; a target or the unknown may not be missing there."""
    recordings = {clip.recording for clip in train}
    known = {*roles.trained, *roles.unknowns}
    fold = Fold(roles, tuple(train), tuple(c for c in clips if c.name in known and c.recording not in recordings))
    judged = {int(index) for index in fold.test_classes}
    missing = [name for index, name in enumerate(roles.targets) if index not in judged]
    if missing or -1 not in judged:
        what = f"no clip of '{missing[0]}'" if missing else "no clip of another class"
        raise AudioError(f"{what} is left to judge", fix="add recordings, or use fewer shots")
    return fold
