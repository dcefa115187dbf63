"""Small ONNX encoders, made by export or node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
import yaml
from onnx import TensorProto, helper
from torch import Tensor, nn

from trainer.export import export_onnx


class TinyConvolution(nn.Module):
    """(batch, samples) -> (batch, dim), or (batch, time, dim) with `keep_time`."""

    def __init__(self, dim: int = 6, *, keep_time: bool = False) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(1, dim, 64, 32)
        self.keep_time = keep_time

    def forward(self, waveform: Tensor) -> Tensor:
        frames = torch.relu(self.convolution(waveform.unsqueeze(1))).transpose(1, 2)  # (batch, time, dim)
        return frames if self.keep_time else frames.mean(dim=1)


class TinyImage(nn.Module):
    """(batch, time, mel) -> (batch, 5)."""

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_mels, 5)

    def forward(self, log_mel: Tensor) -> Tensor:
        return self.linear(log_mel).mean(dim=1)


def exported(network: nn.Module, path: Path, shape: tuple[int, ...], sidecar: Mapping[str, Any] | None = None) -> Path:
    """Exported by torch with a free batch; every other axis is fixed."""
    torch.manual_seed(0)
    export_onnx(network, {"audio": torch.zeros(2, *shape)}, ["embedding"], path)
    return with_sidecar(path, sidecar)


def with_sidecar(path: Path, fields: Mapping[str, Any] | None) -> Path:
    if fields is not None:
        path.with_suffix(".yaml").write_text(yaml.safe_dump(dict(fields)))
    return path


def graph(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int | str],
    dtype: int = TensorProto.FLOAT,
    output: str = "y",
    **fields: Any,
) -> Path:
    """A model of given nodes from `x` to `output`."""
    inputs = [helper.make_tensor_value_info("x", dtype, shape)]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
    made = helper.make_graph(nodes, "g", inputs, outputs, **fields)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def halves(dtype: int, path: Path, shape: Sequence[int | str]) -> Path:
    """Mean over two halves of the samples, cast to float: the vectors tell what reached the network."""
    split = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Split", ["f"], ["a", "b"], axis=len(shape) - 1),
        helper.make_node("ReduceMean", ["a"], ["p"], axes=[len(shape) - 1], keepdims=1),
        helper.make_node("ReduceMean", ["b"], ["q"], axes=[len(shape) - 1], keepdims=1),
        helper.make_node("Concat", ["p", "q"], ["y"], axis=len(shape) - 1),
    ]
    return graph(path, split, shape, dtype)
