"""AdaCos against the loops over eqs. 10 to 12."""

import math

import pytest
import torch

from tests.trainer.losses.loops import (
    DIM,
    N_BATCH,
    N_CLASSES,
    adacos_scale,
    cosine_table,
    cross_entropy,
    dot,
    problem,
)
from trainer.losses.adacos import AdaCos, adacos_loss, adaptive_scale
from trainer.losses.arcface import class_cosines

START = math.sqrt(2.0) * math.log(N_CLASSES - 1)


def slow_loss(embeddings, centres, labels, scale):
    return cross_entropy([[scale * c for c in row] for row in cosine_table(embeddings, centres)], labels)


def test_loss_and_scale_equal_the_loops_over_50_steps():
    loss, scale = AdaCos(N_CLASSES, DIM).double(), START
    for step in range(50):
        embeddings, _, labels = problem(step)
        cosines = cosine_table(embeddings, loss.centres.detach())
        scale = adacos_scale(cosines, labels, scale) if step else START
        got = loss(embeddings, labels).item()
        assert float(loss.scale.value) == pytest.approx(scale, abs=1e-6)
        assert got == pytest.approx(slow_loss(embeddings, loss.centres.detach(), labels, scale), abs=1e-6)


def test_hard_labels_leave_out_the_own_class():
    embeddings, centres, _ = problem()
    labels = torch.eye(N_CLASSES, dtype=torch.float64)[torch.arange(N_BATCH) % N_CLASSES]
    got = adaptive_scale(class_cosines(embeddings, centres), labels, torch.tensor(5.0, dtype=torch.float64))
    assert got.item() == pytest.approx(adacos_scale(cosine_table(embeddings, centres), labels, 5.0), abs=1e-6)


def test_the_fixed_scale_stays():
    loss = AdaCos(N_CLASSES, DIM, dynamic=False).double()
    for step in range(5):
        embeddings, _, labels = problem(step)
        expected = slow_loss(embeddings, loss.centres.detach(), labels, START)
        assert loss(embeddings, labels).item() == pytest.approx(expected, abs=1e-6)


def test_the_scale_stays_put_in_evaluation():
    loss = AdaCos(N_CLASSES, DIM).double().eval()
    for step in range(3):
        embeddings, _, labels = problem(step)
        loss(embeddings, labels)
    assert float(loss.scale.value) == pytest.approx(START, abs=1e-6)


def test_the_scale_is_saved_with_the_loss():
    loss, copy = AdaCos(N_CLASSES, DIM).double(), AdaCos(N_CLASSES, DIM).double()
    for step in range(3):
        embeddings, _, labels = problem(step)
        loss(embeddings, labels)
    copy.load_state_dict(loss.state_dict())
    assert copy(embeddings, labels).item() == loss(embeddings, labels).item()


def test_gradient_does_not_flow_through_the_scale():
    loss = AdaCos(N_CLASSES, DIM).double()
    embeddings, _, labels = problem()
    loss(embeddings, labels)
    moving = embeddings.clone().requires_grad_()
    loss(moving, labels).backward()
    fixed = embeddings.clone().requires_grad_()
    adacos_loss(class_cosines(fixed, loss.centres), labels, loss.scale.value.clone()).backward()
    assert moving.grad is not None
    torch.testing.assert_close(moving.grad, fixed.grad)


def test_gradient_is_right():
    embeddings, centres, labels = problem()
    inputs = (embeddings.requires_grad_(), centres.requires_grad_())
    scale = torch.tensor(6.0, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda e, c: adacos_loss(class_cosines(e, c), labels, scale), inputs)


def test_the_scale_stays_positive_and_recovers():
    """All other classes opposite: log B_avg is negative, which would turn the loss around."""
    labels = torch.eye(3, dtype=torch.float64)
    scale = adaptive_scale(2.0 * labels - 1.0, labels, torch.tensor(5.0, dtype=torch.float64))
    assert 0.0 < float(scale) < 1e-3
    assert float(adaptive_scale(2.0 * labels - 1.0, labels, scale)) == pytest.approx(math.log(2.0), rel=1e-3)


def test_corollary_3_3_gradient_identity():
    """The gradient on the unit sphere is that of the weighted compactness losses of eq. 37."""
    embeddings, centres, labels = problem()
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    centres = torch.nn.functional.normalize(centres, dim=1)
    scale = 4.0
    weights = torch.randn(DIM, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def gradient_of(make):
        w = weights.clone().requires_grad_()
        make(torch.nn.functional.normalize(unit @ w, dim=1)).backward()
        return w.grad

    def identity(e):
        total = torch.zeros((), dtype=torch.float64)
        for x, label in zip(e, labels, strict=True):
            values = torch.stack([torch.exp(scale * (x * c).sum()) for c in centres]).detach()
            distances = [((x - c) ** 2).sum() for c in centres]
            for i in range(N_CLASSES):
                for k in range(N_CLASSES):
                    probability = values[k] / values.sum()
                    total = total + label[i] * probability * (distances[i] - distances[k])
        return scale / 2.0 * total / len(e)

    whole = gradient_of(lambda e: adacos_loss(class_cosines(e, centres), labels, torch.tensor(scale)))
    torch.testing.assert_close(whole, gradient_of(identity))


def test_lemma_3_1():
    a, b, _ = problem(dim=DIM)
    for long_x, long_y in zip(a, b, strict=False):
        x, y = long_x / dot(long_x, long_x) ** 0.5, long_y / dot(long_y, long_y) ** 0.5
        assert class_cosines(x[None], y[None]).item() == pytest.approx(1.0 - dot(x - y, x - y) / 2.0, abs=1e-12)


def test_two_classes_are_refused():
    with pytest.raises(ValueError, match="three classes"):
        AdaCos(2, 8)
