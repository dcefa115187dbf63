"""The sum of normalised scores: calibrated, order-free, stored exactly, strict about its input."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from edged.errors import BundleError, EnrolmentError, StateError
from edged.score.anomaly import AnomalyScorer, fit_anomaly
from edged.score.references import SOURCE, References


@dataclass(frozen=True)
class Spec:
    name: str
    backend: str
    weight: float = 1.0
    params: dict[str, Any] = field(default_factory=dict)


SPECS = (Spec("statistics", "density", 2.0), Spec("texture", "shrinkage"), Spec("embedding", "cosine", 0.5))
RNG = np.random.default_rng(0)
VECTORS = {name: RNG.standard_normal((24, 8)).astype(np.float32) + 2 for name in ("statistics", "texture", "embedding")}
DOMAINS = (SOURCE,) * 20 + ("night",) * 4
SCORER = fit_anomaly(SPECS, {name: References(v, DOMAINS, np.arange(24) // 2) for name, v in VECTORS.items()})


def one(values: dict[str, np.ndarray], row: int) -> dict[str, np.ndarray]:
    return {name: value[row] for name, value in values.items()}


def test_normal_scores_are_centred_with_unit_spread_per_part() -> None:
    for part in SCORER.parts:
        normalised = part.normalised(part.backend.leave_clip_out())
        assert normalised.mean() == pytest.approx(0.0, abs=1e-9)
        assert normalised.std() == pytest.approx(1.0, abs=1e-9)


def test_score_is_the_weighted_mean() -> None:
    query = {name: RNG.standard_normal(8).astype(np.float32) for name in VECTORS}
    parts = [(p.weight, (p.backend.distance(query[p.name][None])[0] - p.centre) / p.spread) for p in SCORER.parts]
    expected = sum(w * z for w, z in parts) / sum(w for w, _ in parts)
    assert SCORER.score(query).anomaly_score == pytest.approx(expected, rel=1e-12)


def test_far_is_more_anomalous_and_the_nearest_reference_is_named() -> None:
    near = SCORER.score(one(VECTORS, 22))
    far = SCORER.score({name: value[22] + 30 * (-1) ** np.arange(8) for name, value in VECTORS.items()})
    assert near.anomaly_score < far.anomaly_score
    assert (near.domain, near.reference_index) == ("night", 22)


def test_scale_of_a_representation_does_not_matter() -> None:
    scaled = {name: References(1000 * v, DOMAINS, np.arange(24) // 2) for name, v in VECTORS.items()}
    scorer = fit_anomaly(SPECS, scaled)
    query = one(VECTORS, 3)
    large = {name: 1000 * v for name, v in query.items()}
    assert scorer.score(large).anomaly_score == pytest.approx(SCORER.score(query).anomaly_score, rel=1e-5)


def test_storage_keeps_every_bit() -> None:
    restored = AnomalyScorer.from_arrays(SCORER.to_arrays())
    np.testing.assert_array_equal(restored.scores(VECTORS), SCORER.scores(VECTORS))
    np.testing.assert_array_equal(restored.normal_scores, SCORER.normal_scores)
    assert restored.domains == DOMAINS


def test_batch_and_single_scores_agree() -> None:
    batch = SCORER.scores(VECTORS)
    single = [SCORER.score(one(VECTORS, row)).anomaly_score for row in range(24)]
    np.testing.assert_allclose(batch, single, rtol=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(BundleError):
        SCORER.score({**one(VECTORS, 0), "texture": np.full(8, value, np.float32)})


def test_a_missing_vector_is_refused() -> None:
    with pytest.raises(BundleError):
        SCORER.score({"statistics": VECTORS["statistics"][0]})


def test_unknown_back_ends_and_parameters_are_refused() -> None:
    references = {"statistics": References(VECTORS["statistics"], DOMAINS, np.arange(24))}
    with pytest.raises(BundleError):
        fit_anomaly([Spec("statistics", "magic")], references)
    with pytest.raises(BundleError):
        fit_anomaly([Spec("statistics", "density", params={"colour": 1})], references)
    with pytest.raises(EnrolmentError):
        fit_anomaly([Spec("statistics", "density", weight=0.0)], references)


def test_different_rows_are_refused() -> None:
    references = {
        "statistics": References(VECTORS["statistics"], DOMAINS, np.arange(24)),
        "texture": References(VECTORS["texture"][:5], DOMAINS[:5], np.arange(5)),
    }
    with pytest.raises(EnrolmentError):
        fit_anomaly(SPECS[:2], references)


def test_one_clip_can_be_scored_uncalibrated() -> None:
    references = {name: References(v[:1], (SOURCE,), np.zeros(1, int)) for name, v in VECTORS.items()}
    scorer = fit_anomaly(SPECS, references)
    assert np.isnan(scorer.normal_scores).all()
    assert np.isfinite(scorer.score(one(VECTORS, 5)).anomaly_score)


def test_a_target_domain_of_one_clip_does_not_blunt_the_scores() -> None:
    """Left out, its only clip is as far away as the domains are apart; that once entered the normalisation."""
    source = {name: References(v[:20], (SOURCE,) * 20, np.arange(20)) for name, v in VECTORS.items()}
    both = {
        name: References(np.r_[v[:20], v[20:21] + 200], (*(SOURCE,) * 20, "moved"), np.arange(21))
        for name, v in VECTORS.items()
    }
    before, after = fit_anomaly(SPECS, source), fit_anomaly(SPECS, both)
    assert np.isnan(after.normal_scores[20])
    for left, right in zip(before.parts, after.parts, strict=True):
        assert right.spread < 2.0 * left.spread
    far = {name: value[3] + 30 * (-1) ** np.arange(8) for name, value in VECTORS.items()}
    assert after.score(far).anomaly_score > 0.5 * before.score(far).anomaly_score


def test_damaged_storage_is_refused() -> None:
    arrays = SCORER.to_arrays()
    with pytest.raises(StateError):
        AnomalyScorer.from_arrays({**arrays, "backends": np.array(["magic"] * 3)})
    with pytest.raises(StateError):
        AnomalyScorer.from_arrays({})
