"""Networks in fewer bits, as strongly typed ONNX: the file says every type, whoever builds an engine keeps to it.

FP16: everything between the first and the last weights; normalisations at both ends, whose squares and sums would
overflow, stay float32, and so do inputs and outputs. INT8: quantise/dequantise pairs (Q/DQ) around convolutions and
matrix products, symmetric as TensorRT wants them; the first layers, whose inputs span decades, and the last keep
float32.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization

from edged.errors import BundleError
from edged.flow import Float32Array

Precision = Literal["fp16", "int8"]
Inputs = Mapping[str, Float32Array]
"""Input name -> float32 (n_segments, ...): what the network is calibrated on or compared by."""

WEIGHTED = frozenset({"Conv", "MatMul", "Gemm"})
MOST_CALIBRATED = 256
_HALF = "_fp16"


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The network with 16-bit weights and activations; inputs and outputs stay float32."""
    short = _plain_copy(model)
    graph = short.graph
    inner, floats = _between_weights(graph), _float_tensors(graph)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    made_inside = {name for number in inner for name in graph.node[number].output}
    used_outside = {name for number, node in enumerate(graph.node) if number not in inner for name in node.input}
    used_outside |= {output.name for output in graph.output}
    halves: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for number, node in enumerate(graph.node):
        for at, name in enumerate(node.input):
            if number not in inner or name not in floats:
                continue
            if name in made_inside:
                node.input[at] = name + _HALF
            elif name in weights and name not in used_outside:
                _in_half(weights[name])
            else:
                if name not in halves:
                    halves[name] = name + _HALF
                    nodes.append(_cast(name, halves[name], onnx.TensorProto.FLOAT16))
                node.input[at] = halves[name]
        nodes.append(node)
        if number in inner:
            name = node.output[0]
            node.output[0] = name + _HALF
            nodes.append(_cast(node.output[0], name, onnx.TensorProto.FLOAT))
    _replace_nodes(graph, _useful(nodes, {output.name for output in graph.output}))
    del graph.value_info[:]
    return short


def to_int8(model: onnx.ModelProto, calibration: Inputs) -> onnx.ModelProto:
    """The network with Q/DQ pairs of 8 bits, ranges found on real inputs.

    Args:
        calibration: segments like those that will be enrolled; the first 256 are used.

    Raises:
        BundleError: there are none.
    """
    n_segments = min((len(values) for values in calibration.values()), default=0)
    if n_segments == 0:
        raise BundleError("INT8 needs segments to calibrate on", fix="name clips of normal sound")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, str(source))
        quantization.shape_inference.quant_pre_process(str(source), str(source), skip_symbolic_shape=True)
        prepared = onnx.load(str(source))
        quantization.quantize_static(
            prepared,
            str(target),
            _Segments(calibration, min(n_segments, MOST_CALIBRATED)),
            op_types_to_quantize=["Conv", "MatMul"],
            nodes_to_exclude=_at_the_ends(prepared.graph),
            per_channel=True,
            calibrate_method=quantization.CalibrationMethod.MinMax,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "QuantizeBias": False,
                "DedicatedQDQPair": False,
            },
        )
        return onnx.load(str(target))


class _Segments(quantization.CalibrationDataReader):  # type: ignore[misc]
    """One segment after the other."""

    def __init__(self, inputs: Inputs, n_segments: int) -> None:
        self._feeds: Iterator[dict[str, NDArray[Any]]] = (
            {name: values[number : number + 1] for name, values in inputs.items()} for number in range(n_segments)
        )

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        return next(self._feeds, None)


def with_rounded_activations(model: onnx.ModelProto) -> onnx.ModelProto:
    """What `to_fp16` makes, for machines without FP16: the same roundings, every sum kept in float32.

    ONNX Runtime keeps the roundings, as a cast to 16 bits loses something.
    """
    emulated = to_fp16(model)
    graph = emulated.graph
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT16:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        narrows = node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT16
        outputs = [name for name in node.output if name.endswith(_HALF)]
        if not outputs or node.op_type == "Cast":
            if narrows:  # to 16 bits and back
                node.output[0], target = f"{node.output[0]}_bits", node.output[0]
                nodes += [node, _cast(node.output[0], target, onnx.TensorProto.FLOAT)]
            else:
                nodes.append(node)
            continue
        (target,) = outputs
        node.output[0] = f"{target}_exact"
        narrow = _cast(node.output[0], f"{target}_bits", onnx.TensorProto.FLOAT16)
        nodes += [node, narrow, _cast(narrow.output[0], target, onnx.TensorProto.FLOAT)]
    _replace_nodes(graph, nodes)
    return emulated


def _plain_copy(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which weights that several nodes share are named by them directly."""
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    weights = {tensor.name for tensor in copied.graph.initializer}
    shared = {n.output[0]: n.input[0] for n in copied.graph.node if n.op_type == "Identity" and n.input[0] in weights}
    nodes = [node for node in copied.graph.node if node.output[0] not in shared]
    for node in nodes:
        node.input[:] = [shared.get(name, name) for name in node.input]
    _replace_nodes(copied.graph, nodes)
    return copied


def _float_tensors(graph: onnx.GraphProto) -> set[str]:
    """Names of everything that is float32 (shapes, axes and indices are not)."""
    inferred = onnx.shape_inference.infer_shapes(onnx.helper.make_model(graph)).graph
    typed = [*inferred.value_info, *inferred.input, *inferred.output]
    found = {value.name for value in typed if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    return found | {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}


def _in_half(tensor: onnx.TensorProto) -> None:
    """Round a weight, in place; one that 16 bits cannot hold is no reason to overflow."""
    if tensor.data_type == onnx.TensorProto.FLOAT:
        largest = float(np.finfo(np.float16).max)
        values = np.clip(onnx.numpy_helper.to_array(tensor), -largest, largest).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def _cast(source: str, target: str, to: int) -> onnx.NodeProto:
    return onnx.helper.make_node("Cast", [source], [target], f"{source}_to_{target}", to=to)


def _useful(nodes: Sequence[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    """Those whose output something needs."""
    needed = wanted.union(*(node.input for node in nodes))
    return [node for node in nodes if needed & set(node.output)]


def _replace_nodes(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    kept = list(nodes)
    del graph.node[:]
    graph.node.extend(kept)


def _between_weights(graph: onnx.GraphProto) -> set[int]:
    """Numbers of the nodes with weights, and of those on the way from one to another."""
    after, before = _reached(graph.node), _reaching(graph.node)
    return after & before


def _reached(nodes: Sequence[onnx.NodeProto]) -> set[int]:
    """Nodes with weights and all that follow."""
    tensors: set[str] = set()
    found = set()
    for number, node in enumerate(nodes):
        if node.op_type in WEIGHTED or tensors & set(node.input):
            found.add(number)
            tensors |= set(node.output)
    return found


def _reaching(nodes: Sequence[onnx.NodeProto]) -> set[int]:
    """Nodes with weights and all that come before."""
    tensors: set[str] = set()
    found = set()
    for number in reversed(range(len(nodes))):
        if nodes[number].op_type in WEIGHTED or tensors & set(nodes[number].output):
            found.add(number)
            tensors |= set(nodes[number].input)
    return found


def _at_the_ends(graph: onnx.GraphProto) -> list[str]:
    """The nodes with weights that no other comes before, or none follows."""
    weighted = {number for number, node in enumerate(graph.node) if node.op_type in WEIGHTED}
    inner_tensors: set[str] = set()
    first = set()
    for number, node in enumerate(graph.node):
        if number in weighted and not inner_tensors & set(node.input):
            first.add(number)
        if number in weighted or inner_tensors & set(node.input):
            inner_tensors |= set(node.output)
    inner_tensors = set()
    last = set()
    for number in reversed(range(len(graph.node))):
        node = graph.node[number]
        if number in weighted and not inner_tensors & set(node.output):
            last.add(number)
        if number in weighted or inner_tensors & set(node.output):
            inner_tensors |= set(node.input)
    return [graph.node[number].name for number in sorted(first | last)]
