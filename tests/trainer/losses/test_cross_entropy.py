"""CXE against the loop over eq. 5."""

import pytest
import torch

from tests.trainer.losses.loops import DIM, N_CLASSES, cross_entropy, dot, problem
from trainer.losses.cross_entropy import SoftmaxCrossEntropy, softmax_cross_entropy


def test_loss_equals_the_loop():
    embeddings, _, labels = problem()
    loss = SoftmaxCrossEntropy(N_CLASSES, DIM).double()
    logits = [[dot(e, w) for w in loss.weight.detach()] for e in embeddings]
    assert loss(embeddings, labels).item() == pytest.approx(cross_entropy(logits, labels), abs=1e-6)


def test_gradient_is_right():
    logits, _, labels = problem(dim=N_CLASSES)
    assert torch.autograd.gradcheck(lambda x: softmax_cross_entropy(x, labels), logits.requires_grad_())
