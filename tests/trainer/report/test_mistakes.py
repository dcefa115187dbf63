"""Which clips are worst: by rank within their own section."""

from pathlib import Path

import numpy as np

from trainer.evaluate.judged import JudgedSection
from trainer.report.mistakes import worst_mistakes


def section(name, normal, anomalous):
    scores = np.r_[normal, anomalous].astype(float)
    flags = np.arange(len(scores)) >= len(normal)
    paths = tuple(Path(f"{name}-{k}.wav") for k in range(len(scores)))
    return JudgedSection("fan", name, scores, flags, ("source",) * len(scores), paths, np.empty(0))


def test_worst_first_across_sections_of_different_scale():
    quiet, loud = section("a", [0, 1, 5], [2, 3, 6]), section("b", [100, 200], [300, 150])
    normal, anomalous = worst_mistakes([quiet, loud], 2)
    assert [(m.path.name, round(m.confusion, 2)) for m in normal] == [("a-2.wav", 0.67), ("b-1.wav", 0.5)]
    assert [(m.path.name, round(m.confusion, 2)) for m in anomalous] == [("b-3.wav", 0.5), ("a-3.wav", 0.33)]


def test_ties_are_no_mistakes_and_the_nearest_come_first():
    normal, anomalous = worst_mistakes([section("a", [0, 2, 1], [2, 3])], 2)
    assert [(m.path.name, m.confusion) for m in normal] == [("a-1.wav", 0.0), ("a-2.wav", 0.0)]
    assert [(m.path.name, m.confusion) for m in anomalous] == [("a-3.wav", 0.0), ("a-4.wav", 0.0)]
