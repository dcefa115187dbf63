"""Sub-cluster AdaCos against loops in float64 written from equations 38 to 42."""

import math
import statistics

import numpy as np
import pytest
import torch

from trainer.losses.subcluster_adacos import (
    SubclusterAdaCos,
    adaptive_scale,
    cosine_logits,
    initial_scale,
    subcluster_adacos_loss,
)

N_BATCH, N_CLASSES, N_CENTRES, DIM = 6, 4, 3, 5


def problem(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    embeddings = torch.randn(N_BATCH, DIM, generator=generator, dtype=torch.float64)
    centres = torch.randn(N_CLASSES, N_CENTRES, DIM, generator=generator, dtype=torch.float64)
    share = torch.rand(N_BATCH, 1, generator=generator, dtype=torch.float64)
    one_hot = torch.eye(N_CLASSES, dtype=torch.float64)
    labels = share * one_hot[torch.arange(N_BATCH) % N_CLASSES] + (1 - share) * one_hot[torch.arange(N_BATCH) % 3]
    return embeddings, centres, labels


def slow_cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(sum(x * y for x, y in zip(a, b, strict=True))) / math.sqrt(float((a * a).sum() * (b * b).sum()))


def slow_scale(embeddings: np.ndarray, centres: np.ndarray, labels: np.ndarray, previous: float) -> float:
    sums, angles = [], []
    largest = max(previous * slow_cosine(e, c) for e in embeddings for j in centres for c in j)
    for e, label in zip(embeddings, labels, strict=True):
        sums.append(sum(math.exp(previous * slow_cosine(e, c) - largest) for j in centres for c in j))
        mean_angles = [sum(math.acos(slow_cosine(e, c)) for c in j) / N_CENTRES for j in centres]
        angles.append(sum(share * angle for share, angle in zip(label, mean_angles, strict=True)))
    median = statistics.median(angles)
    return (largest + math.log(sum(sums) / N_BATCH)) / math.cos(min(math.pi / 4, median))


def slow_loss(embeddings: np.ndarray, centres: np.ndarray, labels: np.ndarray, scale: float) -> float:
    total = 0.0
    for e, label in zip(embeddings, labels, strict=True):
        z = [[math.exp(scale * slow_cosine(e, c)) for c in j] for j in centres]
        whole = sum(map(sum, z))
        total -= sum(share * math.log(sum(row) / whole) for share, row in zip(label, z, strict=True))
    return total / N_BATCH


def test_loss_equals_the_equations() -> None:
    embeddings, centres, labels = problem()
    scale = torch.tensor(9.0, dtype=torch.float64)
    got = subcluster_adacos_loss(cosine_logits(embeddings, centres), labels, scale)
    assert got.item() == pytest.approx(slow_loss(embeddings.numpy(), centres.numpy(), labels.numpy(), 9.0), abs=1e-9)


def test_scale_equals_the_equations_over_many_steps() -> None:
    scale = torch.tensor(initial_scale(N_CLASSES, N_CENTRES), dtype=torch.float64)
    slow = math.sqrt(2) * math.log(N_CLASSES * N_CENTRES - 1)
    for step in range(50):
        embeddings, centres, labels = problem(step)
        scale = adaptive_scale(cosine_logits(embeddings, centres), labels, scale)
        slow = slow_scale(embeddings.numpy(), centres.numpy(), labels.numpy(), slow)
        assert scale.item() == pytest.approx(slow, rel=1e-6)


def test_gradient_does_not_flow_through_the_scale() -> None:
    embeddings, _, labels = problem()
    loss = SubclusterAdaCos(N_CLASSES, N_CENTRES, DIM).double()
    loss(embeddings, labels)  # step 0 keeps the initial scale
    embeddings.requires_grad_()
    loss(embeddings, labels).backward()
    whole = embeddings.grad
    fixed = embeddings.detach().clone().requires_grad_()
    subcluster_adacos_loss(cosine_logits(fixed, loss.centres), labels, loss.scale.clone()).backward()
    assert whole is not None
    assert fixed.grad is not None
    torch.testing.assert_close(whole, fixed.grad)


def test_gradient_is_right() -> None:
    embeddings, centres, labels = problem()
    scale = torch.tensor(5.0, dtype=torch.float64)
    embeddings.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda e: subcluster_adacos_loss(cosine_logits(e, centres), labels, scale), embeddings
    )


def test_centres_are_fixed_unit_vectors_by_default() -> None:
    loss = SubclusterAdaCos(3, 16, 64)
    assert not any(p.requires_grad for p in loss.parameters())
    torch.testing.assert_close(loss.centres.norm(dim=2), torch.ones(3, 16))
    assert SubclusterAdaCos(3, 16, 64, trainable=True).centres.requires_grad


def test_scale_stays_put_in_evaluation() -> None:
    embeddings, _, labels = problem()
    loss = SubclusterAdaCos(N_CLASSES, N_CENTRES, DIM).double().eval()
    before = loss.scale.clone()
    loss(embeddings, labels)
    loss(embeddings, labels)
    assert torch.equal(loss.scale, before)


def test_without_mixup_the_scale_grows() -> None:
    """Lemma 3.6: embeddings at their centres, hard labels."""
    loss = SubclusterAdaCos(6, 2, 64).double()
    classes = torch.arange(6)
    embeddings = loss.centres.double()[classes, 0]
    labels = torch.eye(6, dtype=torch.float64)
    scales = []
    for _ in range(30):
        loss(embeddings, labels)
        scales.append(float(loss.scale))
    assert scales[-1] > 3 * scales[0]


def test_too_few_centres_are_refused() -> None:
    with pytest.raises(ValueError, match="three centres"):
        SubclusterAdaCos(1, 2, 8)
