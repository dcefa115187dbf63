"""AdaProj against the loops over eqs. 54 to 56, and lemma 5.3."""

import math

import numpy as np
import pytest
import torch

from tests.trainer.losses.loops import N_CLASSES, adacos_scale, cosine, cross_entropy, dot, problem
from trainer.losses.adacos import adacos_loss
from trainer.losses.adaproj import N_BASIS, AdaProj, project, subspace_cosines

N_SUB, DIM = 2, 24
START = math.sqrt(2.0) * math.log(N_CLASSES - 1)


def bases(seed=0):
    return torch.tensor(np.random.default_rng(seed).normal(size=(N_CLASSES, N_SUB, DIM)))


def slow_projection(e, basis):
    total = np.zeros(len(e))
    for c in basis:
        unit = np.asarray(c) / math.sqrt(dot(c, c))
        total += dot(e, unit) * unit
    return total


def slow_half_distance(e, basis):
    """Half of the squared distance of eq. 55 (without its scale)."""
    unit = np.asarray(e) / math.sqrt(dot(e, e))
    projected = slow_projection(unit, basis)
    projected = projected / math.sqrt(dot(projected, projected))
    return dot(unit - projected, unit - projected) / 2.0


def slow_cosines(embeddings, all_bases):
    return [[cosine(e, slow_projection(e, basis)) for basis in all_bases] for e in embeddings]


def test_loss_and_scale_equal_the_loops_over_50_steps():
    loss, scale = AdaProj(N_CLASSES, DIM, N_SUB).double(), START
    for step in range(50):
        embeddings, _, labels = problem(step, dim=DIM)
        cosines = slow_cosines(embeddings, loss.bases.detach())
        scale = adacos_scale(cosines, labels, scale) if step else START
        distances = [[slow_half_distance(e, basis) for basis in loss.bases.detach()] for e in embeddings]
        got = loss(embeddings, labels).item()
        assert float(loss.scale.value) == pytest.approx(scale, abs=1e-6)
        assert got == pytest.approx(cross_entropy([[-scale * d for d in row] for row in distances], labels), abs=1e-6)


def test_gradient_is_right():
    embeddings, _, labels = problem(dim=DIM)
    inputs = (embeddings.requires_grad_(), bases().requires_grad_())
    scale = torch.tensor(6.0, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda e, b: adacos_loss(subspace_cosines(e, b), labels, scale), inputs)


def test_gradient_does_not_flow_through_the_scale():
    loss = AdaProj(N_CLASSES, DIM, N_SUB).double()
    embeddings, _, labels = problem(dim=DIM)
    loss(embeddings, labels)
    moving, fixed = embeddings.clone().requires_grad_(), embeddings.clone().requires_grad_()
    loss(moving, labels).backward()
    adacos_loss(subspace_cosines(fixed, loss.bases), labels, loss.scale.value.clone()).backward()
    assert moving.grad is not None
    torch.testing.assert_close(moving.grad, fixed.grad)


def orthonormal_bases(n_classes, n_basis, dim):
    q, _ = torch.linalg.qr(torch.randn(n_classes, dim, n_basis, dtype=torch.float64))
    return q.transpose(1, 2)


def test_lemma_5_3_all_of_the_subspace_is_optimal():
    torch.manual_seed(0)
    orthonormal = orthonormal_bases(3, 8, 40)
    inside = torch.nn.functional.normalize(torch.randn(50, 8, dtype=torch.float64) @ orthonormal[1], dim=1)
    torch.testing.assert_close(project(inside, orthonormal)[:, 1], inside)
    torch.testing.assert_close(subspace_cosines(inside, orthonormal)[:, 1], torch.ones(50, dtype=torch.float64))
    assert float(subspace_cosines(inside, orthonormal)[:, [0, 2]].max()) < 0.95


def test_random_unit_vectors_come_close_to_lemma_5_3():
    """Random bases are nearly orthonormal in a high dimension; the worst of the subspace stays almost optimal."""
    torch.manual_seed(0)
    loss = AdaProj(3, 4096, N_BASIS)
    inside = torch.randn(100, N_BASIS) @ loss.bases[0].detach()
    assert float(subspace_cosines(inside, loss.bases.detach())[:, 0].min()) > 0.98


def test_the_target_class_is_the_likeliest():
    """The sign: an embedding in the subspace of its class has a lower loss than one in another's."""
    loss = AdaProj(3, 64, 4).eval()
    labels = torch.eye(3)[:1]
    own, other = loss.bases[0, :1].detach(), loss.bases[1, :1].detach()
    assert loss(own, labels) < loss(other, labels)


def test_bases_are_fixed_unit_vectors_by_default():
    loss = AdaProj(5, 64)
    assert loss.bases.shape == (5, 32, 64)
    assert not loss.bases.requires_grad
    torch.testing.assert_close(loss.bases.norm(dim=2), torch.ones(5, 32))
    assert AdaProj(5, 64, trainable=True).bases.requires_grad


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="three classes"):
        AdaProj(2, 64)
    with pytest.raises(ValueError, match="leaves nothing outside"):
        AdaProj(3, 32)
