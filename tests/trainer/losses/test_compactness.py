"""Compactness losses against the loop over eq. 3."""

import pytest
import torch

from tests.trainer.losses.loops import DIM, N_CLASSES, cross_entropy, dot, problem
from trainer.losses.compactness import (
    Compactness,
    CompactnessCrossEntropy,
    compactness_loss,
    intra_class_compactness_loss,
)


def slow(embeddings, centres, labels):
    total = 0.0
    for e, label in zip(embeddings, labels, strict=True):
        total += sum(float(share) * dot(e - c, e - c) for share, c in zip(label, centres, strict=True))
    return total / len(embeddings)


def on_sphere(embeddings):
    return [e / dot(e, e) ** 0.5 for e in embeddings]


def test_one_class_equals_the_loop():
    embeddings, centres, _ = problem()
    expected = sum(dot(e - centres[0], e - centres[0]) for e in embeddings) / len(embeddings)
    assert compactness_loss(embeddings, centres[0]).item() == pytest.approx(expected, abs=1e-6)
    one = torch.ones(len(embeddings), 1, dtype=torch.float64)
    assert intra_class_compactness_loss(embeddings, centres[:1], one).item() == pytest.approx(expected, abs=1e-6)


def test_several_classes_equal_the_loop():
    embeddings, centres, labels = problem()
    got = intra_class_compactness_loss(embeddings, centres, labels)
    assert got.item() == pytest.approx(slow(embeddings, centres, labels), abs=1e-6)


def test_the_module_compares_on_the_unit_sphere():
    embeddings, _, labels = problem()
    loss = Compactness(N_CLASSES, DIM).double()
    expected = slow(on_sphere(embeddings), loss.centres, labels)
    assert loss(embeddings, labels).item() == pytest.approx(expected, abs=1e-6)
    assert not list(loss.parameters())
    torch.testing.assert_close(loss.centres.norm(dim=1), torch.ones(N_CLASSES, dtype=torch.float64))


def test_compactness_and_cross_entropy_add_up():
    embeddings, _, labels = problem()
    loss = CompactnessCrossEntropy(N_CLASSES, DIM).double()
    logits = [[dot(e, w) for w in loss.cross_entropy.weight.detach()] for e in embeddings]
    expected = slow(on_sphere(embeddings), loss.compactness.centres, labels) + cross_entropy(logits, labels)
    assert loss(embeddings, labels).item() == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="two classes"):
        CompactnessCrossEntropy(1, DIM)


@pytest.mark.parametrize("kind", [Compactness, CompactnessCrossEntropy])
def test_gradient_is_right(kind):
    embeddings, _, labels = problem()
    loss = kind(N_CLASSES, DIM).double()
    assert torch.autograd.gradcheck(lambda e: loss(e, labels), embeddings.requires_grad_())


def test_gradient_of_eq_3_is_right():
    embeddings, centres, _ = problem()
    assert torch.autograd.gradcheck(lambda e: compactness_loss(e, centres[0]), embeddings.requires_grad_())
