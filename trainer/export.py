"""Export of a trained network: ONNX, and the gate that it computes the same as torch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor, nn

from edged.errors import BundleError

OPSET = 17
MAX_RELATIVE_ERROR = 1e-4


def export_onnx(
    network: nn.Module,
    example_inputs: Mapping[str, Tensor],
    output_names: Sequence[str],
    path: Path,
    *,
    opset: int = OPSET,
) -> None:
    """Write the network as ONNX with a free batch axis.

    Args:
        network: takes the inputs in the mapping's order, returns one tensor or a tuple of them.
        example_inputs: name -> (batch, ...) float32; batch > 1 so that no axis is taken for a constant.
        output_names: one name per output.
        path: where the file goes.
        opset: 17 is what TensorRT 8.6 to 11 all read.
    """
    names = [*example_inputs, *output_names]
    network.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            tuple(example_inputs.values()),
            str(path),
            input_names=list(example_inputs),
            output_names=list(output_names),
            dynamic_axes={name: {0: "batch"} for name in names},
            opset_version=opset,
            dynamo=False,
        )


def relative_error(network: nn.Module, path: Path, inputs: Mapping[str, Tensor]) -> float:
    """Largest |onnx - torch| over all outputs, relative to the largest |torch| of that output; NaN if one holds NaN."""
    with torch.no_grad():
        expected = network.eval()(*inputs.values())
    expected = expected if isinstance(expected, tuple) else (expected,)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    actual = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    errors = [
        float(np.abs(a - e.numpy()).max() / max(float(e.abs().max()), 1e-12))
        for a, e in zip(actual, expected, strict=True)
    ]
    return float(np.max(errors))  # which NaN wins, unlike with Python's


def parity_gate(network: nn.Module, path: Path, inputs: Mapping[str, Tensor]) -> dict[str, float]:
    """The parity figures for the manifest.

    Raises:
        BundleError: ONNX Runtime and torch differ by more than 1e-4 relative.
    """
    error = relative_error(network, path, inputs)
    if not error <= MAX_RELATIVE_ERROR:
        message = f"ONNX differs from torch by {error:.2e} relative (limit {MAX_RELATIVE_ERROR:.0e})"
        raise BundleError(message, fix="nan: the training diverged, lower learning_rate; else report it")
    return {"onnx_vs_torch_max_relative_error": error}
