"""Export of a trained network: ONNX, the gate that it computes the same as torch, and the same in fewer bits."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from edged.compile.judges import probe_judge
from edged.compile.parity import compare
from edged.compile.reference import reference_clips
from edged.embed.bundle import Bundle, load_bundle, write_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.errors import BundleError
from edged.flow import Block, Float32Array
from edged.frontend import front_end
from trainer.low_precision import MOST_CALIBRATED, Precision, to_fp16, to_int8, with_rounded_activations

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


def add_precision(directory: Path, precision: Precision, clips: Iterable[Float32Array] = ()) -> Bundle:
    """Put the same network into a bundle in fewer bits, beside the one it has, if it still decides alike.

    Compared on the reference clips of `edged compile`, by the network as a CPU can run it: FP16 with its roundings,
    INT8 with its Q/DQ pairs.

    Args:
        directory: the bundle; replaced by the extended one.
        clips: normal sound as it will be enrolled (words for keyword bundles), float32 (n,), 16 kHz: for INT8.

    Raises:
        BundleError: there is no network, nothing to calibrate on, or it would decide otherwise; nothing is changed.
    """
    bundle = load_bundle(directory)
    if bundle.model_path is None:
        raise BundleError(f"{directory}: has no network")
    network = onnx.load(str(bundle.model_path))
    made = to_fp16(network) if precision == "fp16" else to_int8(network, _inputs(bundle, clips))
    runnable = with_rounded_activations(network) if precision == "fp16" else made
    with tempfile.TemporaryDirectory() as folder:
        paths = bundle.typed_models
        for name, model in ((precision, made), ("runnable", runnable)):
            onnx.save(model, str(Path(folder) / f"{name}.onnx"))
        paths[precision] = Path(folder) / f"{precision}.onnx"
        plain = bundle.manifest.model_copy(update={"files": {}})
        tried = write_bundle(
            Path(folder) / "tried", plain, model=Path(folder) / "runnable.onnx", calibration=bundle.calibration
        )
        figures = _compared(bundle, tried, precision)
        manifest = plain.model_copy(update={"parity": {**plain.parity, **figures}})
        return write_bundle(
            directory, manifest, model=bundle.model_path, typed_models=paths, calibration=bundle.calibration,
            card=bundle.card,
        )  # fmt: skip


def _compared(bundle: Bundle, tried: Bundle, precision: Precision) -> dict[str, float]:
    trusted, other = OnnxEmbedder(bundle), OnnxEmbedder(tried)
    clips = reference_clips(bundle)
    expected = [trusted.embed(clip) for clip in clips]
    actual = [embedding for clip in clips for embedding in other.embed(clip)]
    judge = probe_judge(bundle, trusted, expected)
    parity = compare(bundle, [e for clip in expected for e in clip], actual, precision, [judge])
    if parity.failures:
        fix = "keep the precision it has" if precision == "fp16" else "calibrate it on more clips, or use FP16"
        raise BundleError(f"{bundle.directory}: {precision}: {'; '.join(parity.failures)}", fix=fix)
    return {f"{precision}_{name}": value for name, value in parity.as_figures().items() if name != "segments"}


def _inputs(bundle: Bundle, clips: Iterable[Float32Array]) -> dict[str, Float32Array]:
    """What the network is given of clips: (n, ...) for each input."""
    segments = []
    for samples in clips:
        features = front_end(bundle)
        segments += [*features.push(Block(0, samples)), *features.flush()]
        if len(segments) >= MOST_CALIBRATED:  # a folder of hours is not read to its end for nothing
            break
    specs = bundle.manifest.model.inputs if bundle.manifest.model else ()
    return {s.name: np.stack([one.features[s.name] for one in segments]) for s in specs if segments}
