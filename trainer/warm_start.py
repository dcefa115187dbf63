"""Weights of a shipped keyword bundle back into a network that can be trained further.

Export folds every batch normalisation into the convolution before it. What was folded cannot be told apart any more,
but need not: a normalisation that is set to the statistics of the folded convolution's own output, and to undo itself,
computes the same function in evaluation and starts training with healthy statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from edged.assembly import open_bundle
from edged.embed.bundle import Bundle
from edged.errors import BundleError
from edged.features.keyword import KeywordSpec
from edged.flow import Float32Array
from edged.frontend import keyword_spec
from trainer.models.speech_trunk import SpeechTrunk

CROP_FRAMES, MAX_CROPS = 224, 64
"""Of the sound that sets the statistics."""
_Convolution = nn.Conv1d | nn.Conv2d
_Normalisation = nn.BatchNorm1d | nn.BatchNorm2d


def started_network(start_from: Path, spec: KeywordSpec, frames: Float32Array) -> SpeechTrunk:
    """The network of a bundle, with statistics of the sound it is to learn from.

    Args:
        start_from: directory of the bundle, or ``keyword`` for the one that ships with edged.
        spec: the front end of the training.
        frames: float (n_frames, n_mels) of that sound.

    Raises:
        BundleError: another network or front end.
    """
    bundle = open_bundle(start_from)
    # what `trainer.streaming_form` sets for the stream is of no account to the network's weights
    free = {
        "segment_frames": spec.segment_frames,
        "level_ahead_frames": spec.level_ahead_frames,
        "context_right_frames": spec.context_right_frames,
    }
    if keyword_spec(bundle).model_copy(update=free) != spec:
        raise BundleError(f"{start_from}: its front end is not the trainer's", fix="start from scratch")
    n_crops = max(1, min(len(frames) // CROP_FRAMES, MAX_CROPS))
    crops = np.resize(frames, (n_crops, CROP_FRAMES, frames.shape[1]))
    return trunk_of_bundle(bundle, torch.from_numpy(crops))


def trunk_of_bundle(bundle: Bundle, frames: Tensor) -> SpeechTrunk:
    """The network of a bundle that holds a speech trunk, ready for further training.

    Args:
        frames: (batch, time, n_mels) of training sound, time beyond the trunk's context; sets the statistics.

    Raises:
        BundleError: the bundle holds another network.
    """
    folded = list(_folded_convolutions(bundle))
    try:
        network = SpeechTrunk(width=folded[-1][0].shape[1], dim=folded[-1][0].shape[0], n_mels=frames.shape[2])
    except IndexError:
        raise BundleError(f"{bundle.label}: its model has no convolutions", fix="start from scratch") from None
    layers = [module for module in network.modules() if isinstance(module, _Convolution)]
    if [tuple(layer.weight.shape) for layer in layers] != [weight.shape for weight, _ in folded]:
        raise BundleError(f"{bundle.label}: its network is no speech trunk", fix="start from scratch")
    _restore(network, layers, folded, frames)
    return network


def _folded_convolutions(bundle: Bundle) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weight and bias of every convolution, in the order of the graph."""
    if bundle.model_path is None:
        return
    graph = onnx.load(str(bundle.model_path)).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv":
            weight = values[node.input[1]]
            weight = weight[:, :, 0] if weight.ndim == 4 and weight.shape[2] == 1 else weight  # lifted for the runtime
            bias = values[node.input[2]] if len(node.input) > 2 else np.zeros(weight.shape[0], weight.dtype)
            yield weight, bias


@torch.no_grad()
def _restore(
    network: SpeechTrunk, layers: list[_Convolution], folded: list[tuple[np.ndarray, np.ndarray]], frames: Tensor
) -> None:
    """Fill the layers from the first to the last: each normalisation needs the true output of what is before it."""
    normalisation_after = _normalisations(network)
    for layer, (weight, bias) in zip(layers, folded, strict=True):
        layer.weight.copy_(torch.from_numpy(weight.copy()))
        normalisation = normalisation_after.get(layer)
        if normalisation is None:
            if layer.bias is not None:
                layer.bias.copy_(torch.from_numpy(bias.copy()))
            continue
        _undo(normalisation, _output_of(network, layer, frames), torch.from_numpy(bias.copy()))


def _normalisations(network: nn.Module) -> dict[nn.Module, _Normalisation]:
    """The normalisation that follows each convolution, where one does."""
    leaves = [m for m in network.modules() if not list(m.children())]
    pairs = pairwise(leaves)
    return {a: b for a, b in pairs if isinstance(a, _Convolution) and isinstance(b, _Normalisation)}


def _output_of(network: nn.Module, layer: nn.Module, frames: Tensor) -> Tensor:
    """What a layer puts out for these frames."""
    caught: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    try:
        network.eval()(frames)
    finally:
        hook.remove()
    return caught[0]


def _undo(normalisation: _Normalisation, output: Tensor, bias: Tensor) -> None:
    """Statistics of `output` (batch, channels, ...), and the scale and shift that leave `output + bias`."""
    others = [axis for axis in range(output.ndim) if axis != 1]
    mean, variance = output.mean(dim=others), output.var(dim=others, unbiased=False)
    normalisation.running_mean.copy_(mean)  # type: ignore[union-attr]
    normalisation.running_var.copy_(variance)  # type: ignore[union-attr]
    normalisation.weight.copy_(torch.sqrt(variance + normalisation.eps))
    normalisation.bias.copy_(mean + bias)
