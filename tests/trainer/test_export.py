"""The gate between torch and ONNX."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edged.errors import BundleError
from trainer.export import export_onnx, parity_gate


class Two(nn.Module):
    """The input doubled, and its logarithm."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x * 2.0, torch.log(x)


def test_what_is_not_a_number_does_not_pass_as_the_second_output(tmp_path: Path) -> None:
    """Python's max keeps the first of two values when the second is NaN."""
    path, inputs = tmp_path / "two.onnx", {"x": torch.rand(4, 3) + 0.5}
    export_onnx(Two(), inputs, ["double", "log"], path)
    assert parity_gate(Two(), path, inputs)["onnx_vs_torch_max_relative_error"] < 1e-5
    with pytest.raises(BundleError, match="differs from torch by nan"):
        parity_gate(Two(), path, {"x": -inputs["x"]})
