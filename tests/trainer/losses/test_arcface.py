"""ArcFace against the loop over eqs. 6 to 9."""

import math

import pytest
import torch

from tests.trainer.losses.loops import DIM, N_CLASSES, cosine, cosine_table, cross_entropy, problem
from trainer.losses.arcface import ArcFace, arcface_loss, class_cosines, margin_cosines

SCALE, MARGIN = 12.0, 0.4


def slow(embeddings, centres, labels, scale=SCALE, margin=MARGIN):
    total = 0.0
    for e, label in zip(embeddings, labels, strict=True):
        angles = [math.acos(cosine(e, c)) for c in centres]
        below = sum(
            math.exp(scale * math.cos(angle + margin * float(share)))
            for angle, share in zip(angles, label, strict=True)
        )
        for angle, share in zip(angles, label, strict=True):
            total -= float(share) * math.log(math.exp(scale * math.cos(angle + margin)) / below)
    return total / len(embeddings)


def test_loss_equals_the_loop():
    embeddings, centres, labels = problem()
    got = arcface_loss(class_cosines(embeddings, centres), labels, SCALE, MARGIN)
    assert got.item() == pytest.approx(slow(embeddings, centres, labels), abs=1e-6)


def test_the_module_equals_the_loop():
    embeddings, _, labels = problem(1)
    loss = ArcFace(N_CLASSES, DIM).double()
    expected = slow(embeddings, loss.centres.detach(), labels, 64.0, 0.5)
    assert loss(embeddings, labels).item() == pytest.approx(expected, abs=1e-6)
    assert loss.centres.requires_grad


def test_without_margin_it_is_softmax_of_scaled_cosines():
    embeddings, centres, labels = problem()
    got = arcface_loss(class_cosines(embeddings, centres), labels, SCALE, 0.0)
    logits = [[SCALE * c for c in row] for row in cosine_table(embeddings, centres)]
    assert got.item() == pytest.approx(cross_entropy(logits, labels), abs=1e-6)


def test_gradient_is_right():
    embeddings, centres, labels = problem()
    inputs = (embeddings.requires_grad_(), centres.requires_grad_())
    assert torch.autograd.gradcheck(lambda e, c: arcface_loss(class_cosines(e, c), labels, SCALE, MARGIN), inputs)


def test_gradient_is_finite_at_the_centre_and_opposite_to_it():
    cosines = torch.tensor([[1.0, -1.0, 0.0]], requires_grad=True)
    margin_cosines(cosines, MARGIN).sum().backward()
    assert cosines.grad is not None
    assert cosines.grad.isfinite().all()


@pytest.mark.parametrize(("scale", "margin_rad"), [(0.0, 0.1), (-1.0, 0.1), (1.0, -0.1), (1.0, 1.6)])
def test_bad_settings_are_refused(scale, margin_rad):
    with pytest.raises(ValueError, match="positive scale"):
        ArcFace(3, 4, scale=scale, margin_rad=margin_rad)
