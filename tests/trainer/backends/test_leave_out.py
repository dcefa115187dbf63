"""Leave-out distances that really leave out, clip by clip and domain by domain."""

import numpy as np
import pytest

from edged.errors import ConfigError, EnrolmentError
from edged.score.references import SOURCE, References
from tests.trainer.backends.made import DIM, REFERENCES, make_references, needed
from trainer.backends.leave_out import clip_folds, leave_out_distances
from trainer.backends.registry import BACKEND_NAMES, fit_backend


@pytest.mark.parametrize("name", BACKEND_NAMES)
def test_each_fold_is_judged_by_a_fit_without_it(name: str) -> None:
    params = needed(name) | ({"n_components": 3} if name == "gmm" else {})
    got = leave_out_distances(name, REFERENCES, n_folds=4, **params)
    folds = clip_folds(REFERENCES, 4)
    for fold in range(4):
        own = folds == fold
        without = fit_backend(name, REFERENCES.select(~own), **params)
        np.testing.assert_allclose(got[own], without.distance(REFERENCES.vectors[own]), rtol=1e-9)


def test_copies_within_a_clip_do_not_help() -> None:
    vectors = REFERENCES.vectors.copy()
    vectors[1] = vectors[0]
    copied = References(vectors, REFERENCES.domains, REFERENCES.clips)
    assert leave_out_distances("nearest-10", copied, n_folds=18, k=1)[0] > 0.01


@pytest.mark.parametrize("n_folds", [2, 3, 10, 100])
def test_folds_hold_whole_clips_and_spread_each_domain(n_folds: int) -> None:
    in_order = make_references(n_source=40, n_target=12)
    numbers = np.random.default_rng(0).permutation(26)[
        in_order.clips
    ]  # else the clips' numbers alone would spread them
    references = References(in_order.vectors, in_order.domains, numbers)
    folds = clip_folds(references, n_folds)
    assert all(len(set(folds[references.clips == clip])) == 1 for clip in range(26))
    assert len(set(folds)) == min(n_folds, 26)
    for domain in (references.is_source, ~references.is_source):
        clips_per_fold = np.bincount(folds[domain], minlength=n_folds) / 2
        assert np.ptp(clips_per_fold) <= 1


def test_a_single_clip_has_nothing_to_compare_with() -> None:
    one = References(REFERENCES.vectors[:4], (SOURCE,) * 4, np.zeros(4, int))
    assert np.isnan(leave_out_distances("gaussian-full", one)).all()


@pytest.mark.parametrize("domains", ["minimum", "sum", "target"])
def test_the_only_clip_of_a_domain_cannot_be_judged_by_its_model(domains: str) -> None:
    """Without it the distance is one to the other domain, or lacks a summand."""
    lonely = make_references(n_source=30, n_target=2)
    got = leave_out_distances("gaussian-full", lonely, n_folds=16, domains=domains)
    assert np.isnan(got[30:]).all()
    assert np.isfinite(got[:30]).all()


def test_a_joint_model_judges_the_only_clip_of_a_domain() -> None:
    assert np.isfinite(leave_out_distances("gaussian-full", make_references(n_source=30, n_target=2))).all()


def test_what_a_fit_refuses_is_refused_here() -> None:
    one = References(np.ones((1, DIM), np.float32), (SOURCE,), np.zeros(1, int))
    with pytest.raises(ConfigError, match="no parameter"):
        leave_out_distances("lof", one, k=3)
    with pytest.raises(ConfigError, match="unknown back end"):
        leave_out_distances("knn", one)
    with pytest.raises(ConfigError, match="n_folds"):
        leave_out_distances("lof", one, n_folds=1)
    with pytest.raises(EnrolmentError, match="target"):
        leave_out_distances("lof", one, domains="target")
    with pytest.raises(EnrolmentError, match="target"):
        leave_out_distances("lof", make_references(n_target=0), domains="target")
