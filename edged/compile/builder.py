"""Builds an engine with TensorRT 8.6 to 11, by what the installed one can do and not by its number.

strongly typed   (from 10; always in 11)   types as the ONNX file says: FP16 and INT8 need a file of that precision
weakly typed     (8.6; 10 where there is no such file)   the float32 file, and leave to use FP16 or INT8
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import tensorrt as trt

from edged.compile.calibrator import CAN_CALIBRATE, entropy_calibrator
from edged.compile.engines import Precision
from edged.embed.bundle import ModelSpec
from edged.embed.tensorrt import messages
from edged.errors import AcceleratorError
from edged.flow import Float32Array

_log = logging.getLogger(__name__)

Typing = Literal["strong", "weak"]


@dataclass(frozen=True)
class Order:
    """What to build.

    Attributes:
        onnx: the file's bytes; of the precision if strongly typed, or with Q/DQ pairs.
        has_types: whether the file carries the precision itself.
        profile: batch sizes: least, best, most.
        calibration: input name -> float32 (n, ...), for TensorRT's own INT8 calibrator; where the file has no pairs.
    """

    onnx: bytes
    has_types: bool
    model: ModelSpec
    precision: Precision
    typing: Typing
    profile: tuple[int, int, int]
    workspace_mib: int
    optimisation_level: int
    calibration: Mapping[str, Float32Array] = field(default_factory=dict)


def typing_of(precision: Precision, *, has_types: bool) -> Typing:
    """How this TensorRT can build a precision.

    Args:
        has_types: whether there is an ONNX file of that precision.

    Raises:
        AcceleratorError: it cannot.
    """
    strong = hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
    if strong and (has_types or precision == "fp32"):
        return "strong"
    flag = {"fp32": "TF32", "fp16": "FP16", "int8": "INT8"}[precision]
    if hasattr(trt.BuilderFlag, flag) and (precision != "int8" or has_types or CAN_CALIBRATE):
        return "weak"
    message = f"TensorRT {trt.__version__} builds {precision} only from a network of that precision"
    raise AcceleratorError(message, fix="use --precision fp32, or export the bundle with that precision")


def build(order: Order, timing_cache: bytes = b"") -> tuple[bytes, bytes]:
    """The engine, and what was measured while building it.

    Args:
        timing_cache: of an earlier build on this device; one that does not fit is left aside.

    Raises:
        AcceleratorError: TensorRT refuses, with its reasons.
    """
    messages.take()
    try:
        builder = trt.Builder(messages)
    except TypeError as error:  # its constructor gives nothing where the driver is missing
        raise AcceleratorError(f"TensorRT cannot build here: {_said(str(error))}", fix="is there a GPU?") from error
    network = builder.create_network(_creation_flags(order.typing))
    _parse(network, order.onnx)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, order.workspace_mib << 20)
    config.builder_optimization_level = order.optimisation_level
    config.add_optimization_profile(_profile(builder, order))
    _set_precision(config, network, order)
    _use_timing_cache(config, timing_cache)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise AcceleratorError(f"TensorRT built no engine: {_said()}", fix="try --precision fp32 or less --workspace")
    return bytes(memoryview(plan)), _timing_cache_of(config)


def _creation_flags(typing: Typing) -> int:
    flags = trt.NetworkDefinitionCreationFlag
    bits = 0
    if hasattr(flags, "EXPLICIT_BATCH"):  # must be said in 8.6, is ignored in 10
        bits |= 1 << int(flags.EXPLICIT_BATCH)
    if typing == "strong":
        bits |= 1 << int(flags.STRONGLY_TYPED)
    return bits


def _parse(network: Any, onnx: bytes) -> None:
    parser = trt.OnnxParser(network, messages)
    if not parser.parse(onnx):
        reasons = "; ".join(parser.get_error(number).desc() for number in range(parser.num_errors))
        raise AcceleratorError(f"TensorRT cannot read the network: {reasons or _said()}", fix="export the bundle again")


def _profile(builder: Any, order: Order) -> Any:
    """One profile for every batch from one segment to the most."""
    profile = builder.create_optimization_profile()
    for spec in order.model.inputs:
        profile.set_shape(spec.name, *((size, *spec.shape) for size in order.profile))
    return profile


def _set_precision(config: Any, network: Any, order: Order) -> None:
    if order.precision == "fp32" and hasattr(trt.BuilderFlag, "TF32"):
        config.clear_flag(trt.BuilderFlag.TF32)  # 10 bits of fraction are not what fp32 promises
    if order.typing == "strong" or order.precision == "fp32":
        return
    if order.precision == "fp16":
        config.set_flag(trt.BuilderFlag.FP16)
        _keep_sums_wide(config, network)
        return
    config.set_flag(trt.BuilderFlag.INT8)
    if not order.has_types:
        config.int8_calibrator = entropy_calibrator(order.calibration, order.profile[1])


def _keep_sums_wide(config: Any, network: Any) -> None:
    """Sums and roots stay float32: 16 bits overflow at 65504, which a sum of squares reaches."""
    config.set_flag(trt.BuilderFlag.PREFER_PRECISION_CONSTRAINTS)
    for layer in _layers(network):
        if layer.type in {trt.LayerType.REDUCE, trt.LayerType.UNARY}:
            layer.precision = trt.float32
            layer.set_output_type(0, trt.float32)


def _layers(network: Any) -> Iterator[Any]:
    return (network.get_layer(number) for number in range(network.num_layers))


def _use_timing_cache(config: Any, data: bytes) -> None:
    """What was measured before, if it fits this very device; a mismatch is never ignored."""
    cache = config.create_timing_cache(data) if data else None
    if cache is None or not config.set_timing_cache(cache, False):
        if data:
            _log.info("the timing cache does not fit this device: everything is measured anew")
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _timing_cache_of(config: Any) -> bytes:
    cache = config.get_timing_cache()
    return bytes(memoryview(cache.serialize())) if cache is not None else b""


def _said(default: str = "it gave no reason") -> str:
    return "; ".join(messages.take()) or default
