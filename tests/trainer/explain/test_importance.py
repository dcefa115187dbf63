"""Importance maps of scorers whose important region is known, against loops, and interrupted."""

from collections.abc import Callable

import numpy as np
import pytest

from edged.errors import UsageError
from trainer.explain.importance import ImportanceMap, importance_map
from trainer.explain.masks import MaskSpec, random_masks

SHAPE = (70, 51)
CELLS = (14, 12)
REGION = np.zeros(SHAPE, bool)
REGION[20:48, 12:30] = True


def energy_in_region(images: np.ndarray) -> np.ndarray:
    return np.square(images[:, REGION].astype(np.float64)).mean(axis=1)


def counted(n_batches: int, scores_of: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """The scorer, interrupted by Ctrl-C after a number of batches."""
    calls = iter(range(n_batches))

    def scores(images: np.ndarray) -> np.ndarray:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return scores_of(images)

    return scores


@pytest.mark.parametrize(("keep", "least"), [(0.1, 0.8), (0.25, 0.7)])
def test_the_map_finds_the_region_that_is_scored(keep: float, least: float) -> None:
    """Masks that are products see a region as a cross, the fainter the less they keep."""
    found = importance_map(energy_in_region, np.ones(SHAPE, np.float32), n_masks=4000, cells=CELLS, keep=keep)
    peak = np.unravel_index(found.importance.argmax(), SHAPE)
    assert REGION[peak]
    assert np.corrcoef(found.importance.ravel(), REGION.ravel())[0, 1] > least
    assert found.importance[REGION].mean() > 3 * found.importance[~REGION].mean()
    assert found.split_half_correlation > 0.9
    assert found.reliability > found.split_half_correlation


def test_what_lowers_the_score_is_negative() -> None:
    found = importance_map(lambda x: -energy_in_region(x), np.ones(SHAPE, np.float32), n_masks=1000, cells=CELLS)
    assert REGION[np.unravel_index(found.importance.argmin(), SHAPE)]
    assert found.importance[REGION].max() < 0.0


def test_hidden_values_take_the_given_level() -> None:
    """Where the image equals what hidden values become, nothing can be important."""
    image = np.full(SHAPE, 3.0, np.float32)
    found = importance_map(energy_in_region, image, hidden=np.full((1, SHAPE[1]), 3.0, np.float32), n_masks=50)
    np.testing.assert_allclose(found.importance, 0.0, atol=1e-9)
    assert found.mean_masked_score == pytest.approx(9.0)


def test_a_constant_score_gives_a_flat_map() -> None:
    found = importance_map(lambda x: np.full(len(x), 5.0), np.ones(SHAPE, np.float32), n_masks=200)
    np.testing.assert_allclose(found.importance, 0.0, atol=1e-9)
    assert found.mean_masked_score == 5.0


def test_the_thesis_s_map_of_a_constant_score_is_that_score_within_noise() -> None:
    """The sum of the masks times a score of 1, over the expected mask and their number, is 1 on average everywhere."""
    spec = MaskSpec(CELLS, 0.5)
    images = random_masks(np.random.default_rng(0), 4000, SHAPE, spec).images
    assert images.mean() / spec.expected == pytest.approx(1.0, abs=0.02)
    found = importance_map(energy_in_region, np.ones(SHAPE, np.float32), n_masks=4000, cells=CELLS, keep=0.5)
    scores = energy_in_region(images)
    thesis = np.einsum("n,nij->ij", scores, images) / (spec.expected * len(scores))
    ours = found.importance + found.mean_masked_score
    np.testing.assert_allclose(ours, thesis, atol=4 * 0.6 / np.sqrt(len(scores)))


def test_a_random_score_is_flat_within_its_standard_error() -> None:
    rng = np.random.default_rng(4)
    found = importance_map(lambda x: rng.standard_normal(len(x)), np.ones(SHAPE, np.float32), n_masks=2000, cells=CELLS)
    ratio = found.importance / found.standard_error
    assert np.abs(ratio).max() < 5.0
    assert 0.7 < np.sqrt(np.square(ratio).mean()) < 1.3
    assert abs(found.split_half_correlation) < 0.5


@pytest.mark.parametrize("batch", [1, 3, 7, 64])
def test_map_and_standard_error_equal_the_loop(batch: int) -> None:
    image = np.random.default_rng(0).standard_normal((9, 11)).astype(np.float32)
    seen: list[np.ndarray] = []

    def scores_of(images: np.ndarray) -> np.ndarray:
        seen.extend(images / image)
        return 4.0 + np.square(images).sum(axis=(1, 2), dtype=np.float64)

    found = importance_map(scores_of, image, n_masks=20, batch=batch, cells=(3, 3), keep=0.5, seed=2)
    scores = [4.0 + float(np.square(m * image).sum()) for m in seen]
    mean = sum(scores) / 20
    for t, f in np.ndindex(image.shape):
        terms = [(s - mean) * m[t, f] / 0.25 for s, m in zip(scores, seen, strict=True)]
        assert found.importance[t, f] == pytest.approx(np.mean(terms), abs=1e-3)
        assert found.standard_error[t, f] == pytest.approx(np.std(terms, ddof=1) / np.sqrt(20), abs=1e-3)
    halves = [slow_map([scores[i] for i in half], [seen[i] for i in half]) for half in _halves(batch)]
    assert found.split_half_correlation == pytest.approx(np.corrcoef(*halves)[0, 1], abs=1e-3)


def _halves(batch: int) -> tuple[list[int], list[int]]:
    """Numbers of the masks of both halves: each batch is dealt out, beginning with the half that is behind."""
    halves: tuple[list[int], list[int]] = ([], [])
    for start in range(0, 20, batch):
        first = int(len(halves[0]) > len(halves[1]))
        for k in range(start, min(start + batch, 20)):
            halves[(first + k - start) % 2].append(k)
    return halves


def slow_map(scores: list[float], masks: list[np.ndarray]) -> np.ndarray:
    mean = sum(scores) / len(scores)
    return sum(((s - mean) * m for s, m in zip(scores, masks, strict=True)), np.zeros_like(masks[0])).ravel()


def test_a_seed_gives_the_same_map_again() -> None:
    first, again, other = (
        importance_map(energy_in_region, np.ones(SHAPE, np.float32), n_masks=40, seed=seed).importance
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_ctrl_c_leaves_the_map_of_the_masks_so_far() -> None:
    image = np.ones(SHAPE, np.float32)
    done: list[int] = []
    found = importance_map(counted(3, energy_in_region), image, n_masks=100, batch=16, progress=done.append)
    whole = importance_map(energy_in_region, image, n_masks=48, batch=16)
    assert (found.n_masks, found.was_interrupted, done) == (48, True, [16, 16, 16])
    np.testing.assert_array_equal(found.importance, whole.importance)
    assert not whole.was_interrupted


def test_ctrl_c_during_the_progress_bar_loses_no_batch() -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    found = importance_map(energy_in_region, np.ones(SHAPE, np.float32), n_masks=64, batch=32, progress=interrupt)
    assert found.n_masks == 32


def test_ctrl_c_before_anything_was_done_is_passed_on() -> None:
    with pytest.raises(KeyboardInterrupt):
        importance_map(counted(0, energy_in_region), np.ones(SHAPE, np.float32), n_masks=10)


def test_batches_are_bounded_and_the_last_one_is_short() -> None:
    sizes: list[int] = []

    def scores_of(images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        assert images.dtype == np.float32
        return np.zeros(len(images))

    assert importance_map(scores_of, np.ones(SHAPE, np.float32), n_masks=70, batch=32).n_masks == 70
    assert sizes == [32, 32, 6]


@pytest.mark.parametrize(("n_masks", "is_known"), [(1, False), (3, False), (4, True)])
def test_few_masks_have_no_split_half_correlation(n_masks: int, is_known: bool) -> None:
    found = importance_map(energy_in_region, np.ones(SHAPE, np.float32), n_masks=n_masks, cells=CELLS, keep=0.7)
    assert np.isfinite(found.split_half_correlation) == is_known
    assert np.isfinite(found.importance).all()


@pytest.mark.parametrize(("half", "whole"), [(-1.0, 0.0), (-0.9, 0.0), (0.0, 0.0), (0.5, 2 / 3), (1.0, 1.0)])
def test_reliability_of_halves_that_disagree(half: float, whole: float) -> None:
    """It divided by zero, or said -18."""
    nothing = np.zeros((1, 1))
    assert ImportanceMap(nothing, nothing, 0.0, half, 4).reliability == pytest.approx(whole)


@pytest.mark.parametrize(("n_masks", "batch"), [(0, 32), (10, 0)])
def test_no_masks_are_refused(n_masks: int, batch: int) -> None:
    with pytest.raises(UsageError, match="explain nothing"):
        importance_map(energy_in_region, np.ones(SHAPE, np.float32), n_masks=n_masks, batch=batch)
