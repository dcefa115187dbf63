"""What the tables of networks are checked with: output sizes by hooks, and counts that no network is asked for."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def output_sizes(network: nn.Module, modules: Sequence[nn.Module], *inputs: Tensor) -> list[tuple[int, ...]]:
    """Sizes of what the modules put out for one batch, without the batch axis, in the order in which they ran."""
    sizes: list[tuple[int, ...]] = []
    hooks = [module.register_forward_hook(lambda _m, _i, out: sizes.append(tuple(out.shape[1:]))) for module in modules]
    with torch.no_grad():
        network.eval()(*inputs)
    for hook in hooks:
        hook.remove()
    return sizes


def trained(network: nn.Module) -> int:
    """Parameters that training changes."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def stage_weights(n_in: int, n_out: int, *, shortcut: bool) -> int:
    """Two blocks of two 3x3 convolutions, one of which changes the channels, and perhaps a 1x1 shortcut."""
    return 9 * n_in * n_out + 3 * 9 * n_out**2 + (n_in * n_out if shortcut else 0)


RESNET_WEIGHTS = (
    7 * 7 * 16
    + stage_weights(16, 16, shortcut=False)
    + stage_weights(16, 32, shortcut=True)
    + stage_weights(32, 64, shortcut=True)
    + stage_weights(64, 128, shortcut=True)
)
"""Convolutions of Tables 4 and 15."""

RESNET_CHANNELS = 16 + 4 * (16 + 32 + 64 + 128)
"""Outputs of their 7x7 and 3x3 convolutions, each of which is normalised: one gain, and one shift or none."""

SHORTCUT_CHANNELS = 32 + 64 + 128
"""Outputs of their 1x1 convolutions."""
