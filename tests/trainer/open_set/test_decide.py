"""Decisions against a loop over samples and anchors."""

from pathlib import Path

import numpy as np
import pytest

from trainer.evaluate.open_set import weighted_accuracy
from trainer.open_set.clips import SoundClip
from trainer.open_set.decide import Embedded, class_means, open_set_scores
from trainer.open_set.folds import Fold
from trainer.open_set.roles import Roles

ROLES = Roles(("a", "b"), ("k",), ("u",))


def fold(test: str) -> Fold:
    return Fold(ROLES, (), tuple(SoundClip(Path(str(i)), name, str(i)) for i, name in enumerate(test)))


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


def test_scores_and_classes_equal_a_loop() -> None:
    rng = np.random.default_rng(0)
    anchors, anchor_classes = rng.standard_normal((7, 5)), np.array([0, 1, 2, 0, 1, 2, 0])
    names = "".join(rng.choice(list("abku"), 60))
    test = rng.standard_normal((60, 5))
    scores = open_set_scores(Embedded(anchors, anchor_classes, test), fold(names))
    known, unknown, predicted = [], [], []
    for x, name in zip(test, names, strict=True):
        best = {
            c: max(cosine(x, a) for a, own in zip(anchors, anchor_classes, strict=True) if own == c) for c in range(3)
        }
        target = max((0, 1), key=lambda c: best[c])
        score = 1 - best[target] if best[target] >= best[2] else 2 + best[2] - best[target]
        (known if name in "ab" else unknown).append(score)
        if name in "ab":
            predicted.append(target)
    np.testing.assert_allclose(scores.known, known, atol=1e-12)
    np.testing.assert_allclose(scores.unknown, unknown, atol=1e-12)
    assert scores.predicted.tolist() == predicted
    assert scores.classes.tolist() == ["ab".index(name) for name in names if name in "ab"]


def test_what_resembles_a_known_unknown_is_unknown_at_any_threshold() -> None:
    anchors = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    test = np.array([[1.0, 0.05], [0.1, 1.0], [0.8, 0.59], [0.7, -0.7]])
    scores = open_set_scores(Embedded(anchors, np.arange(3), test), fold("abku"))
    assert scores.unknown[0] > 2.0
    assert weighted_accuracy(scores, 1.0 - 0.75) == 1.0
    assert weighted_accuracy(scores, 1.0 - 0.65) == pytest.approx(0.5 + 0.5 * 0.75)  # cosine 0.707 to the first


def test_class_means_are_mean_directions() -> None:
    vectors = np.array([[10.0, 0.0], [0.0, 1.0], [3.0, 3.0]])
    means, classes = class_means(vectors, np.array([4, 4, 1]))
    assert classes.tolist() == [1, 4]
    np.testing.assert_allclose(means, [[0.5**0.5, 0.5**0.5], [0.5, 0.5]], atol=1e-7)
