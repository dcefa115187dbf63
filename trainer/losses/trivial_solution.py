"""Can this network map everything to the centre? The three conditions of thesis 2.3.2 (propositions 2.4 to 2.6).

Checked on the modules and, for what hides in a `forward`, on the network's output with all weights at zero.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from edged.errors import ConfigError

FAR = 1e4
"""Input at which a bounded activation has long reached its bound."""


def require_no_trivial_solution(network: nn.Module, loss: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Refuse to train what can collapse.

    Args:
        network: the embedding model.
        loss: the loss, or a module around it; its parameter or buffer `centres` is looked at.
        inputs: one batch of the network's arguments.

    Raises:
        ConfigError: a condition is violated; all violations are named.
    """
    risks = trivial_solution_risks(network, loss, inputs)
    if risks:
        fix = "take bias-free layers, unbounded activations and fixed, non-zero centres, or a loss with classes"
        raise ConfigError("the network can learn a trivial solution: " + "; ".join(risks), fix=fix)


def trivial_solution_risks(network: nn.Module, loss: nn.Module, inputs: Sequence[Tensor]) -> list[str]:
    """The violated conditions in words; empty when the compactness loss may be used."""
    return [*_centre_risks(loss), *_bias_risks(network), *_activation_risks(network), *_output_risks(network, inputs)]


def _centre_risks(loss: nn.Module) -> Iterator[str]:
    """Proposition 2.4: a centre that moves can move to the output of a network without weights, which is zero."""
    for name, centres in (*loss.named_parameters(), *loss.named_buffers()):
        if name.rsplit(".", 1)[-1] != "centres":
            continue
        if centres.requires_grad:
            yield "the centres are trained"
        if bool((centres.flatten(0, -2).norm(dim=1) == 0).any()):
            yield "a centre is zero"


def _bias_risks(network: nn.Module) -> Iterator[str]:
    """Proposition 2.5: with its last bias a network can output any constant; one frozen at zero is none."""
    for name, parameter in network.named_parameters():
        is_bias = "bias" in name.rsplit(".", 1)[-1]
        if is_bias and (parameter.requires_grad or bool(parameter.any())):
            yield f"{name} is a bias term"


def _activation_risks(network: nn.Module) -> Iterator[str]:
    """Proposition 2.6: a saturated activation with a bound other than zero works like a bias."""
    for name, module in network.named_modules():
        is_activation = type(module).__module__ == nn.ReLU.__module__
        if not is_activation or isinstance(module, nn.GLU) or any(True for _ in module.parameters()):
            continue  # neither GLU nor PReLU is bounded
        low, half_low, zero, half_high, high = (_response(module, FAR * x) for x in (-1.0, -0.5, 0.0, 0.5, 1.0))
        if zero != 0.0:
            yield f"{name} ({type(module).__name__}) does not map zero to zero"
        elif any(a != 0.0 and math.isclose(a, b, rel_tol=0.01) for a, b in ((low, half_low), (high, half_high))):
            yield f"{name} ({type(module).__name__}) is bounded"


def _response(activation: nn.Module, value: float) -> float:
    """What an activation makes of one value; four axes serve whichever a softmax takes."""
    return float(copy.deepcopy(activation).eval()(torch.full((1, 1, 1, 1), value)))


def _output_risks(network: nn.Module, inputs: Sequence[Tensor]) -> Iterator[str]:
    """Without weights a network that keeps the conditions puts out zero (c_0 of proposition 2.4)."""
    empty = copy.deepcopy(network).eval()
    with torch.no_grad():
        for parameter in empty.parameters():
            parameter.zero_()
        output = empty(*inputs)
    if bool(output.any()):
        yield "its output is not zero when all weights are"
