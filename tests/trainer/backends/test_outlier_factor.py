"""The outlier factor against loops written from its definition (Breunig et al. 2000)."""

import numpy as np
import pytest

from edged.score.references import SOURCE, References
from tests.trainer.backends.made import DIM, QUERIES, REFERENCES, cosine_distance
from trainer.backends.outlier_factor import OutlierFactorBackend


def slow_factor(query: np.ndarray, members: np.ndarray, k: int, metric: str) -> float:
    def gap(a: np.ndarray, b: np.ndarray) -> float:
        return cosine_distance(a, b) if metric == "cosine" else float(np.sqrt(((a - b) ** 2).sum()))

    def neighbours(x: np.ndarray, others: list[int]) -> list[int]:
        return sorted(others, key=lambda j: gap(x, members[j]))[:k]

    everyone = list(range(len(members)))
    of_member = [neighbours(members[i], [j for j in everyone if j != i]) for i in everyone]
    reach = [gap(members[i], members[of_member[i][-1]]) for i in everyone]

    def density(x: np.ndarray, near: list[int]) -> float:
        return 1.0 / np.mean([max(reach[j], gap(x, members[j])) for j in near])

    near = neighbours(query, everyone)
    return float(np.mean([density(members[j], of_member[j]) for j in near]) / density(query, near))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [5, 20])
def test_it_equals_its_definition(metric: str, k: int) -> None:
    members = REFERENCES.vectors.astype(np.float64)
    expected = [slow_factor(q.astype(np.float64), members, k, metric) for q in QUERIES]
    fitted = OutlierFactorBackend.fit(REFERENCES, n_neighbours=k, metric=metric)
    np.testing.assert_allclose(fitted.distance(QUERIES), expected, rtol=1e-7)


def test_one_reference_gives_a_multiple_of_the_distance() -> None:
    one = References(np.eye(DIM, dtype=np.float32)[:1], (SOURCE,), np.arange(1))
    distance = OutlierFactorBackend.fit(one).distance(np.eye(DIM)[0] + [[0.0], [0.1], [1.0]] * np.eye(DIM)[1])
    assert distance[0] == pytest.approx(1.0)
    assert distance[0] < distance[1] < distance[2]
