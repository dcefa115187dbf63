"""Margin losses under autocast: the same loss, scale and gradient as in float32 from the same embeddings."""

import pytest
import torch

from trainer.losses.adacos import AdaCos
from trainer.losses.subcluster_adacos import SubclusterAdaCos
from trainer.losses.tacos import TACos

N_BATCH, N_CLASSES, DIM = 8, 5, 16
LABELS = 0.5 * (
    torch.eye(N_CLASSES)[torch.arange(N_BATCH) % N_CLASSES] + torch.eye(N_CLASSES)[torch.arange(N_BATCH) % 3]
)
LOSSES = {
    "adacos": (lambda: AdaCos(N_CLASSES, DIM), (N_BATCH, DIM), (LABELS,)),
    "subcluster": (lambda: SubclusterAdaCos(N_CLASSES, 3, DIM, trainable=True), (N_BATCH, DIM), (LABELS,)),
    "tacos": (lambda: TACos(N_CLASSES, 1, 2, DIM), (N_BATCH, 3, DIM), (LABELS, torch.ones(N_BATCH, 1))),
}


def trained(name: str, *, autocast: bool) -> list[torch.Tensor]:
    """Three steps on embeddings that bfloat16 holds exactly: losses, gradient of the last, all buffers."""
    make, shape, labels = LOSSES[name]
    torch.manual_seed(0)
    loss, seen = make(), []
    for _ in range(3):
        embeddings = torch.randn(shape).bfloat16().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            value = loss(embeddings if autocast else embeddings.float(), *labels)
        value.backward()
        seen += [value.detach()]
    assert value.dtype == torch.float32
    return [*seen, *(p.grad for p in loss.parameters()), *(buffer.float() for buffer in loss.buffers())]


@pytest.mark.parametrize("name", LOSSES)
def test_autocast_changes_nothing(name: str) -> None:
    """Under autocast the cosines were rounded to 8 bits, and the loss and its scale with them."""
    for plain, mixed in zip(trained(name, autocast=False), trained(name, autocast=True), strict=True):
        torch.testing.assert_close(mixed, plain, rtol=1e-6, atol=1e-6)
