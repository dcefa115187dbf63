"""Back ends against slow loops written from their definitions; leave-clip-out that really leaves out."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from edged.errors import EnrolmentError, StateError
from edged.references.store import pack_arrays, unpack_arrays
from edged.score.anomaly import BACKENDS
from edged.score.backend import MAX_FOLDS, clip_folds
from edged.score.cosine import CosineBackend
from edged.score.covariance import ledoit_wolf
from edged.score.density import DensityBackend
from edged.score.kmeans import spherical_kmeans
from edged.score.references import SOURCE, References
from edged.score.shrinkage import ShrinkageBackend

DIM = 12


def make_references(n_source: int = 20, n_target: int = 4, rows_per_clip: int = 2, seed: int = 0) -> References:
    rng = np.random.default_rng(seed)
    n = n_source + n_target
    vectors = rng.standard_normal((n, DIM)) + np.r_[np.zeros(n_source), np.full(n_target, 3.0)][:, None]
    domains = (SOURCE,) * n_source + ("winter",) * n_target
    return References(vectors.astype(np.float32), domains, np.arange(n) // rows_per_clip)


REFERENCES = make_references()
QUERIES = np.random.default_rng(9).standard_normal((7, DIM)).astype(np.float32) * 2


def cos_distance(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return 1.0 - float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b))


def slow_density(query: np.ndarray, members: np.ndarray, clips: np.ndarray, k: int, ratio: float) -> float:
    radii = []
    for i, y in enumerate(members):
        others = sorted(np.linalg.norm(y - z) for j, z in enumerate(members) if clips[j] != clips[i])
        radii.append(np.mean(others[:k]))
    middle = np.median(radii)
    radii = [min(max(r, middle / ratio), middle * ratio) for r in radii]
    return min(np.linalg.norm(query - y) / r for y, r in zip(members, radii, strict=True))


def test_cosine_without_clustering_is_the_nearest_reference() -> None:
    backend = CosineBackend.fit(REFERENCES, n_clusters=100)
    for query, got in zip(QUERIES, backend.distance(QUERIES), strict=True):
        distances = [cos_distance(query, y) for y in REFERENCES.vectors]
        assert got == pytest.approx(min(distances), abs=1e-12)
        assert backend.nearest(query[None])[0] == int(np.argmin(distances))


def test_cosine_keeps_every_target_and_clusters_the_source() -> None:
    backend = CosineBackend.fit(REFERENCES, n_clusters=3)
    assert backend.anchors.shape == (3 + 4, DIM)
    np.testing.assert_allclose(backend.distance(REFERENCES.vectors[20:]), 0.0, atol=1e-12)


def test_density_equals_its_definition() -> None:
    members = REFERENCES.vectors.astype(np.float64)
    backend = DensityBackend.fit(REFERENCES, n_neighbours=3, max_ratio=1.5)
    for query, got in zip(QUERIES, backend.distance(QUERIES), strict=True):
        assert got == pytest.approx(slow_density(query, members, REFERENCES.clips, 3, 1.5), rel=1e-9)


def test_density_limits_an_isolated_reference() -> None:
    lonely = REFERENCES.vectors.copy()
    lonely[-2:] += 500.0
    far = lonely[-1] + 200.0
    references = References(lonely, REFERENCES.domains, REFERENCES.clips)
    limited = DensityBackend.fit(references, max_ratio=2.0).distance(far[None])
    unlimited = DensityBackend.fit(references, max_ratio=1e9).distance(far[None])
    assert unlimited[0] < 5.0
    assert limited[0] > 50.0


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_planted_isolated_reference_hides_no_anomalies(metric: str) -> None:
    """One odd clip among thirty, as far from all as the anomalies: unlimited, its neighbourhood swallows them."""
    rng = np.random.default_rng(6)
    scale, basis = {"euclidean": (0.5, 8.0), "cosine": (0.05, 1.0)}[metric], np.eye(DIM)
    normal = scale[1] * basis[0] + scale[0] * rng.standard_normal((50, DIM))
    planted = scale[1] * (basis[0] + 2 * basis[1]) + scale[0] * rng.standard_normal((1, DIM))
    anomalies = scale[1] * (basis[0] + basis[1] + basis[2]) + scale[0] * rng.standard_normal((20, DIM))
    references = References(np.r_[normal[:30], planted].astype(np.float32), (SOURCE,) * 31, np.arange(31))

    def worst_margin(max_ratio: float) -> float:
        backend = DensityBackend.fit(references, metric=metric, max_ratio=max_ratio)
        return float(backend.distance(anomalies).min() / backend.distance(normal[30:]).max())

    assert worst_margin(1e9) < 1.0
    assert worst_margin(2.0) > 1.5


def test_two_clips_are_left_out_on_the_scale_of_what_is_judged_later() -> None:
    """Left out, each of two was once judged in raw distance, and what came later relative to their density."""
    pair = np.random.default_rng(1).standard_normal((2, DIM))
    for name in ("density", "lof"):
        left_out = [
            BACKENDS[name].fit(References((scale * pair).astype(np.float32), (SOURCE,) * 2, np.arange(2)))
            for scale in (1.0, 1000.0)
        ]
        np.testing.assert_allclose(left_out[0].leave_clip_out(), left_out[1].leave_clip_out(), rtol=1e-4)
        np.testing.assert_allclose(left_out[0].leave_clip_out(), 1.0, rtol=1e-4)


def test_shrinkage_equals_scikit_learns_mahalanobis() -> None:
    references = make_references(n_source=60, n_target=0)
    residuals = references.vectors.astype(np.float64) - references.vectors.astype(np.float64).mean(axis=0)
    theirs = LedoitWolf(assume_centered=True).fit(residuals)
    assert ledoit_wolf(residuals)[0] == pytest.approx(theirs.shrinkage_, rel=1e-9)
    backend = ShrinkageBackend.fit(references)
    centred = QUERIES.astype(np.float64) - references.vectors.astype(np.float64).mean(axis=0)
    expected = np.sqrt(theirs.mahalanobis(centred) / DIM)
    np.testing.assert_allclose(backend.distance(QUERIES), expected, rtol=1e-8)


def test_shrinkage_works_with_more_dimensions_than_rows() -> None:
    vectors = np.random.default_rng(3).standard_normal((6, 400)).astype(np.float32)
    references = References(vectors, (SOURCE,) * 6, np.arange(6))
    backend = ShrinkageBackend.fit(references)
    covariance = backend.directions.T @ np.diag(backend.extra) @ backend.directions + backend.base[0] * np.eye(400)
    query = np.random.default_rng(4).standard_normal(400)
    residual = query - backend.means[0]
    expected = np.sqrt(residual @ np.linalg.inv(covariance) @ residual / 400)
    assert backend.distance(query[None])[0] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("name", BACKENDS)
def test_leave_clip_out_equals_a_fit_without_the_clip(name: str) -> None:
    fitted = BACKENDS[name].fit(REFERENCES)
    for clip in (0, 5, 11):
        own = REFERENCES.clips == clip
        without = BACKENDS[name].fit(REFERENCES.select(~own))
        np.testing.assert_allclose(fitted.leave_clip_out()[own], without.distance(REFERENCES.vectors[own]), rtol=1e-7)


def test_many_clips_are_left_out_in_groups_of_whole_clips() -> None:
    clips = np.repeat(np.arange(100), 3)
    folds = clip_folds(clips)
    assert len(np.unique(folds)) == MAX_FOLDS
    assert all(len(np.unique(folds[clips == clip])) == 1 for clip in range(100))


@pytest.mark.parametrize("name", BACKENDS)
def test_leave_clip_out_ignores_copies_within_the_clip(name: str) -> None:
    vectors = REFERENCES.vectors.copy()
    vectors[1] = vectors[0]
    left_out = BACKENDS[name].fit(References(vectors, REFERENCES.domains, REFERENCES.clips)).leave_clip_out()
    assert left_out[0] > 0.05


@pytest.mark.parametrize("name", BACKENDS)
def test_a_target_domain_of_one_clip_is_learned(name: str) -> None:
    rng = np.random.default_rng(5)
    source = rng.standard_normal((30, DIM)) + np.eye(DIM)[0] * 5
    target = rng.standard_normal((1, DIM)) + np.eye(DIM)[1] * 25
    vectors = np.r_[source, target].astype(np.float32)
    before = BACKENDS[name].fit(References(vectors[:30], (SOURCE,) * 30, np.arange(30)))
    after = BACKENDS[name].fit(References(vectors, (*(SOURCE,) * 30, "new"), np.arange(31)))
    query = (target + 0.5 * rng.standard_normal((1, DIM))).astype(np.float32)
    assert after.distance(query)[0] < 0.7 * before.distance(query)[0]
    assert after.nearest(query)[0] == 30
    assert np.isfinite(after.leave_clip_out()).all()


@pytest.mark.parametrize("name", BACKENDS)
def test_a_single_clip_alone_gives_finite_distances(name: str) -> None:
    backend = BACKENDS[name].fit(References(REFERENCES.vectors[:3], (SOURCE,) * 3, np.zeros(3, int)))
    assert np.isfinite(backend.distance(QUERIES)).all()
    assert np.isnan(backend.leave_clip_out()).all()


@pytest.mark.parametrize("name", BACKENDS)
def test_two_clips_already_calibrate(name: str) -> None:
    """Leaving one of two clips out leaves no spread to measure by; the scale must not explode then."""
    vectors = 5.0 * np.eye(DIM)[[0, 0, 0]] + np.random.default_rng(8).standard_normal((3, DIM))
    backend = BACKENDS[name].fit(References(vectors[:2].astype(np.float32), (SOURCE,) * 2, np.arange(2)))
    usual = backend.leave_clip_out().mean()
    assert backend.distance(vectors[2:])[0] == pytest.approx(usual, rel=1.0)
    assert backend.distance(-10.0 * vectors[2:])[0] > 2.0 * usual


@pytest.mark.parametrize("name", BACKENDS)
def test_equal_references_give_finite_distances(name: str) -> None:
    references = References(np.ones((4, DIM), np.float32), (SOURCE,) * 4, np.arange(4))
    assert np.isfinite(BACKENDS[name].fit(references).distance(QUERIES)).all()


@pytest.mark.parametrize("name", BACKENDS)
def test_stored_back_ends_give_the_same_bits(name: str) -> None:
    fitted = BACKENDS[name].fit(REFERENCES)
    restored = BACKENDS[name].from_arrays(unpack_arrays(pack_arrays(fitted.to_arrays())))
    np.testing.assert_array_equal(restored.distance(QUERIES), fitted.distance(QUERIES))
    np.testing.assert_array_equal(restored.nearest(QUERIES), fitted.nearest(QUERIES))
    np.testing.assert_array_equal(restored.leave_clip_out(), fitted.leave_clip_out())


@pytest.mark.parametrize("name", BACKENDS)
def test_damaged_storage_is_refused(name: str) -> None:
    arrays = BACKENDS[name].fit(REFERENCES).to_arrays()
    with pytest.raises(StateError):
        BACKENDS[name].from_arrays({**arrays, "members": np.full((2, DIM), np.nan)})
    with pytest.raises(StateError):
        BACKENDS[name].from_arrays({key: value for key, value in arrays.items() if key != "left_out"})


def test_kmeans_is_deterministic_and_finds_separate_directions() -> None:
    rng = np.random.default_rng(2)
    truth = np.eye(DIM)[:4]
    points = np.repeat(truth, 25, axis=0) + 0.05 * rng.standard_normal((100, DIM))
    centres = spherical_kmeans(points, 4, seed=1)
    np.testing.assert_array_equal(centres, spherical_kmeans(points, 4, seed=1))
    assert (centres @ truth.T).max(axis=0).min() > 0.99


@pytest.mark.parametrize(
    ("vectors", "domains", "clips"),
    [
        (np.zeros((0, 3), np.float32), (), np.arange(0)),
        (np.full((1, 3), np.nan, np.float32), (SOURCE,), np.arange(1)),
        (np.full((1, 3), np.inf, np.float32), (SOURCE,), np.arange(1)),
        (np.zeros((2, 3), np.float32), (SOURCE,), np.arange(2)),
        (np.zeros(3, np.float32), (SOURCE,) * 3, np.arange(3)),
    ],
)
def test_hostile_references_are_refused(vectors: np.ndarray, domains: tuple[str, ...], clips: np.ndarray) -> None:
    with pytest.raises(EnrolmentError):
        References(vectors, domains, clips)
