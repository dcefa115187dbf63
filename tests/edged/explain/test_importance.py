from itertools import product

import numpy as np
import pytest

from edged.explain.importance import importance, single_effects


def test_a_sum_over_cells_is_found_exactly():
    adds = np.random.default_rng(0).standard_normal((3, 4))
    found = importance(lambda hidden: 7.0 - adds[hidden].sum(), 3, 4, n_runs=200)
    np.testing.assert_allclose(found.adds, adds, atol=0.02)
    assert found.all_hidden_score == pytest.approx(7.0 - adds.sum())
    assert found.explained_share > 0.999


def test_cells_that_work_together_get_their_banzhaf_values():
    values = dict(zip(product([False, True], repeat=4), np.random.default_rng(1).standard_normal(16), strict=True))

    def score(hidden):
        return values[tuple(hidden.ravel().tolist())]

    def by_definition(cell):
        steps = []
        for others in product([False, True], repeat=3):
            kept, hidden = ((*others[:cell], here, *others[cell:]) for here in (False, True))
            steps.append(values[kept] - values[hidden])
        return np.mean(steps)

    found = importance(score, 2, 2, n_runs=20_000)
    np.testing.assert_allclose(found.adds.ravel(), [by_definition(cell) for cell in range(4)], atol=0.05)
    assert 0.0 <= found.explained_share <= 1.0


def test_a_score_that_nothing_changes_has_no_reasons():
    found = importance(lambda _: 1.5, 2, 3, n_runs=20)
    assert not found.adds.any()
    assert found.all_hidden_score == 1.5


def test_single_effects_hide_one_slice_or_one_band():
    adds = np.arange(6.0).reshape(2, 3)
    times, bands = single_effects(lambda hidden: 10.0 - adds[hidden].sum(), 2, 3, 10.0)
    assert times == [3.0, 12.0]
    assert bands == [3.0, 5.0, 7.0]
