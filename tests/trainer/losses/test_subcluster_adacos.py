"""Sub-cluster AdaCos against loops in float64 written from equations 38 to 42."""

import math
import statistics

import numpy as np
import pytest
import torch

from trainer.augment.mixup import mixup
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


def test_the_scale_stays_positive_and_recovers() -> None:
    """With embeddings opposite to all centres it was negative, which turned the loss around."""
    labels, opposite = torch.ones(4, 1), torch.full((4, 1, 3), -0.9)
    scale = adaptive_scale(opposite, labels, torch.tensor(3.0))
    assert 0.0 < float(scale) < 1e-3
    assert float(adaptive_scale(opposite, labels, scale)) > 1.0


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


def scales_of_training(mixup_probability: float, n_steps: int, n_centres: int = 4) -> list[float]:
    """Scales while a linear network learns to tell six noisy classes apart."""
    torch.manual_seed(0)
    loss, network = SubclusterAdaCos(6, n_centres, 32), torch.nn.Linear(32, 32, bias=False)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    prototypes, scales = torch.randn(6, 32), []
    for _ in range(n_steps):
        classes = torch.randint(6, (64,))
        inputs = prototypes[classes] + 0.3 * torch.randn(64, 32)
        inputs, labels = mixup(inputs, torch.eye(6)[classes], mixup_probability)
        optimiser.zero_grad()
        loss(network(inputs), labels).backward()
        optimiser.step()
        scales.append(float(loss.scale))
    return scales


@pytest.mark.filterwarnings("ignore:sub-cluster AdaCos without mixup")
def test_lemma_3_6_the_scale_grows_exponentially_without_mixup() -> None:
    scales = np.array(scales_of_training(0.0, 60))
    growth = scales[1:] / scales[:-1]
    assert scales[-1] > 1e4 * scales[0]
    assert growth[30:].min() > 1.2


@pytest.mark.filterwarnings("ignore:sub-cluster AdaCos without mixup")
def test_with_one_centre_per_class_the_scale_stays_in_bounds_even_without_mixup() -> None:
    """What drives it are centres that cannot all be near: the mean angle keeps the denominator at cos(pi / 4)."""
    scales = scales_of_training(0.0, 300, n_centres=1)
    assert max(scales) < 3 * scales[0]


def test_with_mixup_the_scale_stays_in_bounds() -> None:
    scales = scales_of_training(1.0, 300)
    assert max(scales[100:]) < 3 * scales[0]


@pytest.mark.filterwarnings("error:sub-cluster AdaCos without mixup")
def test_training_without_mixup_warns_once_and_with_it_never() -> None:
    scales_of_training(0.5, 30)
    with pytest.warns(UserWarning, match="without mixup") as warned:
        scales_of_training(0.0, 30)
    assert len(warned) == 1


def test_theorem_3_5_gradient_identity() -> None:
    """The gradient with respect to a network's weights is that of the weighted compactness losses of eqs. 43, 44."""
    embeddings, centres, labels = problem()
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    unit_centres = torch.nn.functional.normalize(centres, dim=2)
    scale = torch.tensor(4.0, dtype=torch.float64)
    start = torch.randn(DIM, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def sub_cluster(e: torch.Tensor) -> torch.Tensor:
        return subcluster_adacos_loss(cosine_logits(e, centres), labels, scale)

    def compactness(e: torch.Tensor) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for x, label in zip(e, labels, strict=True):
            z = torch.exp(scale * unit_centres @ x).detach()  # (N_CLASSES, N_CENTRES)
            for i, k in np.ndindex(N_CLASSES, N_CENTRES):
                distance = ((x - unit_centres[i, k]) ** 2).sum()
                total = total + label[i] * z[i, k] / z[i].sum() * distance - z[i, k] / z.sum() * distance
        return scale / 2.0 * total / len(e)

    gradients = []
    for objective in (sub_cluster, compactness):
        weights = start.clone().requires_grad_()
        objective(torch.nn.functional.normalize(unit @ weights, dim=1)).backward()
        gradients.append(weights.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_too_few_centres_are_refused() -> None:
    with pytest.raises(ValueError, match="three centres"):
        SubclusterAdaCos(1, 2, 8)
