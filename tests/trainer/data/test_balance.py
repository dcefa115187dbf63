"""Sampling weights: every class equally often, up to the cap."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import WeightedRandomSampler

from trainer.data.balance import class_weights


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60), st.floats(1.0, 100.0))
def test_weights_are_what_they_say(labels: list[str], cap: float) -> None:
    weights, counts = class_weights(labels, cap), Counter(labels)
    relative = weights / weights.min()
    assert weights.mean() == pytest.approx(1.0)
    for label, value in zip(labels, relative, strict=True):
        assert value == pytest.approx(min(max(counts.values()) / counts[label], cap))


def test_torch_draws_classes_equally() -> None:
    labels = ["source"] * 99 + ["target"] * 11
    generator = torch.Generator().manual_seed(0)
    drawn = list(WeightedRandomSampler(class_weights(labels).tolist(), 4000, generator=generator))
    assert np.mean([labels[index] == "target" for index in drawn]) == pytest.approx(0.5, abs=0.03)


def test_the_cap_keeps_rare_classes_from_being_learnt_by_heart() -> None:
    weights = class_weights([0] * 990 + [1] * 10, cap=10.0)
    assert weights[-1] / weights[0] == pytest.approx(10.0)


def test_edges() -> None:
    assert class_weights([]).shape == (0,)
    with pytest.raises(ValueError, match="below 1"):
        class_weights(["a"], cap=0.5)
