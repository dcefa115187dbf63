"""The Frechet mean: warping against a slow recursion, a mean that is nearer to all shots than any of them."""

from functools import cache

import numpy as np
import pytest

from edged.score.barycentre import frechet_mean, warp
from edged.score.dtw import unit_rows


def noisy_shots(n=4, seed=0):
    rng = np.random.default_rng(seed)
    base = np.cumsum(rng.standard_normal((20, 6)), axis=0)
    shots = []
    for _ in range(n):
        places = np.sort(rng.uniform(0, 19, int(rng.integers(16, 26)))).astype(int)
        shots.append((base[places] + 0.6 * rng.standard_normal((len(places), 6))).astype(np.float32))
    return shots


def test_warping_costs_what_the_recursion_says() -> None:
    left, right = (unit_rows(shot[:7]) for shot in noisy_shots(2))

    @cache
    def total(i, j):
        if i < 0 or j < 0:
            return 0.0 if i == j == -1 else np.inf
        return 1.0 - float(left[i] @ right[j]) + min(total(i - 1, j - 1), total(i - 1, j), total(i, j - 1))

    cost, path = warp(left, right)
    assert cost == pytest.approx(total(6, 6), abs=1e-5)
    assert sum(1.0 - float(left[i] @ right[j]) for i, j in path) == pytest.approx(cost, abs=1e-5)
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [6, 6]
    assert {tuple(step) for step in np.diff(path, axis=0)} <= {(1, 1), (1, 0), (0, 1)}


def test_the_mean_is_nearer_to_the_shots_than_any_of_them() -> None:
    shots = [unit_rows(shot) for shot in noisy_shots()]
    mean = frechet_mean(shots)
    np.testing.assert_allclose(np.linalg.norm(mean, axis=1), 1.0, atol=1e-5)

    def spread(centre):
        return sum(warp(centre, shot)[0] for shot in shots)

    assert spread(mean) < min(spread(shot) for shot in shots)


def test_one_shot_is_its_own_mean() -> None:
    (shot,) = noisy_shots(1)
    np.testing.assert_allclose(frechet_mean([shot]), unit_rows(shot))
