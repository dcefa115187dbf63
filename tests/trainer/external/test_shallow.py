"""Training on external vectors: the three ways to average over time, batches, and what is learned."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import AudioError, UsageError
from trainer.external.shallow import (
    EvenBatches,
    ShallowObjective,
    ShallowRecipe,
    shallow_vectors,
    train_shallow_classifier,
)
from trainer.external.vectors import external_vectors
from trainer.models.shallow_classifier import ShallowClassifier

QUICK = ShallowRecipe(n_centres=2, max_epochs=25, batch_size=32)


def blobs(n_per_class: int, seed: int, n_classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Clips of four vectors around their class's place, in a space with a large common offset and noise."""
    rng = np.random.default_rng(seed)
    places = np.random.default_rng(0).standard_normal((n_classes, 12))
    classes = np.repeat(np.arange(n_classes), n_per_class)
    vectors = 20.0 + places[classes][:, None] + 0.7 * rng.standard_normal((len(classes), 4, 12))
    return vectors.astype(np.float32), classes


@pytest.mark.parametrize("time_mean", ["before", "during", "after"])
def test_unseen_clips_lie_nearest_to_their_class(tmp_path: Path, time_mean: str) -> None:
    recipe = ShallowRecipe(2, 25, 32, time_mean=time_mean)
    vectors, classes = blobs(16, seed=1)
    network = train_shallow_classifier(vectors, classes, recipe, tmp_path)
    unseen, truth = blobs(20, seed=2)
    train, test = (shallow_vectors(network, v, recipe.time_mean) for v in (vectors, unseen))
    assert test.shape == (60, 128)
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (train, test)]
    means = np.stack([unit[0][classes == c].mean(axis=0) for c in range(3)])
    assert ((unit[1] @ means.T).argmax(axis=1) == truth).mean() > 0.95


def test_before_and_after_are_the_same_mean_taken_at_different_places() -> None:
    torch.manual_seed(0)
    network = ShallowClassifier(12).eval()
    vectors, _ = blobs(2, seed=3)
    frames = network(torch.from_numpy(vectors.reshape(-1, 12))).detach().numpy().reshape(6, 4, 128)
    np.testing.assert_allclose(shallow_vectors(network, vectors, "during"), frames.mean(axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(shallow_vectors(network, vectors, "after"), frames.mean(axis=1), rtol=1e-4, atol=1e-5)
    early = network(torch.from_numpy(vectors.mean(axis=1))).detach().numpy()
    np.testing.assert_allclose(shallow_vectors(network, vectors, "before"), early, rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_embeddings(tmp_path: Path) -> None:
    vectors, classes = blobs(4, seed=1)
    recipe = ShallowRecipe(1, 2, 8)
    one, same, other = (
        shallow_vectors(train_shallow_classifier(vectors, classes, recipe, tmp_path / str(k), seed=seed), vectors)
        for k, seed in enumerate((5, 5, 6))
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_centres_stay_where_they_are(tmp_path: Path) -> None:
    vectors, classes = blobs(4, seed=1)
    train_shallow_classifier(vectors, classes, ShallowRecipe(2, 1, 8), tmp_path)
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)
    trained = state["optimizer_states"][0]["state"]
    assert len(trained) == 3 + 3  # three layers, three scales of batch normalisation
    assert state["state_dict"]["objective.loss.centres"].shape == (3, 2, 128)


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    vectors, classes = blobs(4, seed=1)
    with pytest.raises(UsageError, match="1 classes"):
        train_shallow_classifier(vectors, np.zeros_like(classes), QUICK, tmp_path)


def test_mixup_mixes_whole_clips() -> None:
    """Every vector of a clip gets the same share: time is not mixed up."""
    seen = []

    class Recorder(torch.nn.Module):
        def forward(self, vectors: torch.Tensor) -> torch.Tensor:
            seen.append(vectors)
            return vectors.mean(dim=1)

    torch.manual_seed(0)
    objective = ShallowObjective(lambda embeddings, labels: labels.sum() + 0 * embeddings.sum(), 2, 1.0)
    vectors = torch.stack([torch.zeros(3, 4), torch.ones(3, 4)])
    objective(Recorder(), {"vectors": vectors, "classes": torch.tensor([0, 1])})
    mixed = seen[0]
    assert mixed.shape == (2, 3, 4)
    assert torch.equal(mixed, mixed[:, :1, :1].expand(2, 3, 4))


@given(n=st.integers(2, 200), size=st.integers(2, 80))
def test_batches_hold_everything_once_and_never_a_single_sample(n: int, size: int) -> None:
    batches = list(EvenBatches(n, size))
    assert sorted(index for batch in batches for index in batch) == list(range(n))
    assert len(batches) == len(EvenBatches(n, size))
    assert min(map(len, batches)) >= 2
    assert max(map(len, batches)) <= max(size, 3)


class Counting:
    """As many vectors as the clip has hundreds of samples."""

    label, dim = "counting", 2

    def vectors(self, clip: np.ndarray) -> np.ndarray:
        return np.stack([np.arange(len(clip) // 100), np.ones(len(clip) // 100)], axis=1).astype(np.float32)


def test_external_vectors_with_and_without_time() -> None:
    clips = [np.zeros(300, np.float32), np.zeros(300, np.float32)]
    assert external_vectors(Counting(), clips).shape == (2, 3, 2)
    assert external_vectors(Counting(), iter(clips), keep_time=False).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_clips_of_different_length_need_the_mean() -> None:
    clips = [np.zeros(300, np.float32), np.zeros(500, np.float32)]
    assert external_vectors(Counting(), clips, keep_time=False).tolist() == [[1.0, 1.0], [2.0, 1.0]]
    with pytest.raises(AudioError, match=r"\[3, 5\] vectors"):
        external_vectors(Counting(), clips)
    with pytest.raises(AudioError, match="no clips"):
        external_vectors(Counting(), [])
