"""The softmax back end against probabilities written out."""

import numpy as np
import pytest

from edged.errors import ConfigError
from tests.trainer.backends.made import DIM, QUERIES, REFERENCES
from trainer.backends.softmax import SoftmaxBackend


@pytest.mark.parametrize("own", [[2], [0, 4], list(range(DIM))])
def test_it_is_minus_the_log_probability_of_the_own_classes(own: list[int]) -> None:
    for logits, got in zip(QUERIES, SoftmaxBackend.fit(REFERENCES, own_classes=own).distance(QUERIES), strict=True):
        powers = np.exp(logits.astype(np.float64))
        assert got == pytest.approx(-np.log(powers[own].sum() / powers.sum()), abs=1e-12)


def test_confident_logits_are_not_all_ties() -> None:
    """The probability of a confident network rounds to 1, and normal clips could not be told apart."""
    logits = np.outer([80.0, 60.0, 900.0, -900.0], np.eye(DIM)[0])
    distance = SoftmaxBackend.fit(REFERENCES, own_classes=[0]).distance(logits)
    np.testing.assert_allclose(distance[:2], [5 * np.exp(-80.0), 5 * np.exp(-60.0)], rtol=1e-12)
    assert distance[2] == 0.0
    assert distance[3] == pytest.approx(900.0 + np.log(5.0))


@pytest.mark.parametrize("own", [[], [DIM], [-1], [1, 1]])
def test_classes_that_do_not_exist_are_refused(own: list[int]) -> None:
    with pytest.raises(ConfigError, match="own_classes"):
        SoftmaxBackend.fit(REFERENCES, own_classes=own)
