"""The three conditions of thesis 2.3.2: what breaks them is named, and what breaks them does collapse."""

import pytest
import torch
from torch import nn

from edged.errors import ConfigError
from trainer.losses.adacos import AdaCos
from trainer.losses.compactness import Compactness, compactness_loss
from trainer.losses.trivial_solution import require_no_trivial_solution, trivial_solution_risks
from trainer.models.dual_branch import SpectrogramBranch

INPUTS = (torch.randn(3, 5),)
LOSS = Compactness(2, 4)


def network(*layers):
    return nn.Sequential(nn.Linear(5, 8, bias=False), *layers, nn.Linear(8, 4, bias=False))


class Squashed(nn.Module):
    """Hides its activation in `forward`."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 4, bias=False)

    def forward(self, x):
        return torch.sigmoid(self.layer(x))


@pytest.mark.parametrize(
    "activation",
    [nn.ReLU(), nn.LeakyReLU(0.1), nn.PReLU(), nn.GELU(), nn.SiLU(), nn.Hardshrink(), nn.Identity(), nn.Dropout(0.2)],
)
def test_unbounded_activations_pass(activation):
    assert trivial_solution_risks(network(activation), LOSS, INPUTS) == []
    require_no_trivial_solution(network(activation), LOSS, INPUTS)


@pytest.mark.parametrize(
    "activation",
    [nn.Tanh(), nn.ELU(), nn.SELU(), nn.Softsign(), nn.ReLU6(), nn.Hardtanh(-30.0, 30.0)],
)
def test_bounded_activations_are_named(activation):
    (risk,) = trivial_solution_risks(network(activation), LOSS, INPUTS)
    assert risk == f"1 ({type(activation).__name__}) is bounded"


@pytest.mark.parametrize(
    "activation", [nn.Sigmoid(), nn.Softplus(), nn.Softmax(dim=1), nn.LogSigmoid(), nn.Threshold(0.0, -1.0)]
)
def test_activations_that_work_like_a_bias_are_named(activation):
    risks = trivial_solution_risks(network(activation), LOSS, INPUTS)
    assert f"1 ({type(activation).__name__}) does not map zero to zero" in risks


def test_biases_are_named_unless_frozen_at_zero():
    biased = nn.Sequential(nn.Linear(5, 4))
    risks = trivial_solution_risks(biased, LOSS, INPUTS)
    assert risks == ["0.bias is a bias term"]
    with torch.no_grad():
        biased[0].bias.requires_grad_(False).zero_()
    assert trivial_solution_risks(biased, LOSS, INPUTS) == []


def test_an_activation_hidden_in_forward_is_found_at_the_output():
    assert trivial_solution_risks(Squashed(), LOSS, INPUTS) == ["its output is not zero when all weights are"]


def test_centres_must_be_fixed_and_not_zero():
    assert trivial_solution_risks(network(), AdaCos(3, 4), INPUTS) == ["the centres are trained"]
    at_zero = Compactness(2, 4)
    at_zero.centres[0] = 0.0
    assert trivial_solution_risks(network(), at_zero, INPUTS) == ["a centre is zero"]


def test_all_violations_are_told_at_once():
    with pytest.raises(ConfigError, match=r"centres are trained.*bias term.*is bounded") as raised:
        require_no_trivial_solution(nn.Sequential(nn.Linear(5, 4), nn.Tanh()), AdaCos(3, 4), INPUTS)
    assert raised.value.fix


def test_the_products_own_branch_passes():
    branch = SpectrogramBranch(32, 33, width=4)
    assert trivial_solution_risks(branch, Compactness(2, 128), (torch.randn(1, 32, 33),)) == []


@pytest.mark.parametrize("biased", [False, True])
def test_a_bias_does_collapse(biased):
    """Training finds the trivial solution of eq. 3 with a bias, and cannot without."""
    torch.manual_seed(0)
    model, centre = nn.Linear(5, 4, bias=biased), torch.ones(4)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    inputs = torch.randn(64, 5)
    for _ in range(300):
        optimiser.zero_grad()
        compactness_loss(model(inputs), centre).backward()
        optimiser.step()
    assert (compactness_loss(model(inputs), centre).item() < 1e-3) is biased
