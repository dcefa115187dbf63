"""Two-dimensional AdaCos against the loops over the equations of key publication 2."""

import math

import numpy as np
import pytest
import torch

from tests.trainer.losses.loops import DIM, N_BATCH, N_CLASSES, adacos_scale, cosine, cross_entropy, problem
from trainer.losses.adacos import adacos_loss
from trainer.losses.arcface import class_cosines
from trainer.losses.two_dimensional_adacos import TwoDimensionalAdaCos, framewise_cosines

N_FRAMES, N_CENTRES = 3, 5
START = math.sqrt(2.0) * math.log(N_CLASSES - 1)


def frames(seed=0):
    return torch.tensor(np.random.default_rng(seed + 100).normal(size=(N_BATCH, N_FRAMES, DIM)))


def slow_cosines(embeddings, centres):
    return [
        [sum(max(cosine(frame, c) for c in keyword) for frame in e) / len(e) for keyword in centres] for e in embeddings
    ]


def test_loss_and_scale_equal_the_loops_over_50_steps():
    loss, scale = TwoDimensionalAdaCos(N_CLASSES, N_CENTRES, DIM).double(), START
    centres = loss.centres.detach()
    for step in range(50):
        embeddings, labels = frames(step), problem(step)[2]
        cosines = slow_cosines(embeddings, centres)
        scale = adacos_scale(cosines, labels, scale) if step else START
        got = loss(embeddings, labels).item()
        assert float(loss.scale.value) == pytest.approx(scale, abs=1e-6)
        assert got == pytest.approx(cross_entropy([[scale * c for c in row] for row in cosines], labels), abs=1e-6)


def test_gradient_is_right():
    centres = torch.randn(N_CLASSES, N_CENTRES, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inputs = (frames().requires_grad_(), centres.requires_grad_())
    labels, scale = problem()[2], torch.tensor(6.0, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda e, c: adacos_loss(framewise_cosines(e, c), labels, scale), inputs)


def test_one_frame_and_one_centre_are_plain_adacos():
    embeddings, centres, _ = problem()
    torch.testing.assert_close(
        framewise_cosines(embeddings.unsqueeze(1), centres.unsqueeze(1)), class_cosines(embeddings, centres)
    )


def test_two_keywords_are_refused():
    with pytest.raises(ValueError, match="three keywords"):
        TwoDimensionalAdaCos(2, 4, 8)
