"""The form in which a keyword network runs on the stream: the same function, computed faster, a few frames at a time.

    python -m trainer.streaming_form BUNDLE OUT [--segment-frames 4] [--level-ahead-frames 2] [--context-right-frames 6]

Convolutions over time are written as convolutions over one band and time, for which the runtime has its fast kernels;
that halves the cost. A network without padding gives the same rows however many it gives at once, so the segments of a
bundle can be made shorter, which costs little more and reports sooner. So does a level that looks less far ahead than
in training: the sounds at the beginning of a word are then taken for a little louder than they were there. So does a
network that sees fewer frames to come: the last of them is repeated in place of the rest, which matter least.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import typer
from onnx import helper, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as state
from pydantic import ValidationError

from edged.assembly import open_bundle
from edged.embed.bundle import TYPED_MODEL_NAMES, Bundle, Manifest, TensorSpec, write_bundle
from edged.errors import BundleError, EdgedError
from edged.features.keyword import FRAMES, KeywordSpec
from edged.flow import Float32Array
from edged.frontend import keyword_spec

MAX_RELATIVE_ERROR = 1e-5
REFUSALS = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.NotImplemented, state.RuntimeException)
"""What ONNX Runtime raises of a network that it cannot run; they have no base class."""
_ALONG_TIME = frozenset({"Conv", "Relu", "Add", "Slice", "Constant"})
_LIFTED = "lifted_"
_REPEATED = f"{_LIFTED}repeat"
_PARITY = "streaming_form_max_relative_error"


def lift(model: onnx.ModelProto) -> bool:
    """Give what is convolved over time a second axis of length one, in place; whether the network is of that kind.

    It is if one reshape gathers the bands, and then only convolutions over time, sums and cuts of it come up to the
    transposition that makes rows of the frames.
    """
    nodes = list(model.graph.node)
    reshapes = [index for index, node in enumerate(nodes) if node.op_type == "Reshape"]
    if len(reshapes) != 1:
        return False
    after = nodes[reshapes[0] + 1 :]
    n_along = next((index for index, node in enumerate(after) if node.op_type == "Transpose"), None)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    if n_along is None or not _only_along_time(after[:n_along], weights):
        return False
    _lift_reshape(model.graph, nodes[reshapes[0]])
    for node in after[:n_along]:
        if node.op_type == "Conv":
            _lift_convolution(node, weights[node.input[1]])
        elif node.op_type == "Slice":
            node.input[3] = _constant(model.graph, "axis", [3])
    _squeeze_before(model.graph, after[n_along])
    _drop_unused_constants(model.graph)
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    return True


def _only_along_time(nodes: Sequence[onnx.NodeProto], weights: dict[str, onnx.TensorProto]) -> bool:
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    flat = all(node.input[1] in weights and len(weights[node.input[1]].dims) == 3 for node in convolutions)
    return bool(convolutions) and flat and all(node.op_type in _ALONG_TIME for node in nodes)


def _lift_reshape(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    """(batch, channels, time) becomes (batch, channels, 1, time), whatever the time."""
    made = {one.output[0]: one for one in graph.node if one.op_type == "Constant"}
    n_channels = int(numpy_helper.to_array(made[node.input[1]].attribute[0].t)[1])
    node.input[1] = _constant(graph, "shape", [0, n_channels, 1, -1])


def _lift_convolution(node: onnx.NodeProto, weight: onnx.TensorProto) -> None:
    lifted = np.ascontiguousarray(numpy_helper.to_array(weight)[:, :, None, :])
    weight.CopyFrom(numpy_helper.from_array(lifted, weight.name))
    for attribute in node.attribute:
        if attribute.name in ("kernel_shape", "strides", "dilations"):
            attribute.ints[:] = [1, *attribute.ints]
        elif attribute.name == "pads":
            attribute.ints[:] = [0, attribute.ints[0], 0, attribute.ints[1]]


def _squeeze_before(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    squeezed = helper.make_node("Squeeze", [node.input[0], _constant(graph, "axis_of_one", [2])], [f"{_LIFTED}rows"])
    graph.node.insert(list(graph.node).index(node), squeezed)
    node.input[0] = squeezed.output[0]


def _drop_unused_constants(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    for node in [one for one in graph.node if one.op_type == "Constant" and one.output[0] not in used]:
        graph.node.remove(node)


def _constant(graph: onnx.GraphProto, name: str, values: Sequence[int]) -> str:
    full_name = _LIFTED + name
    if all(tensor.name != full_name for tensor in graph.initializer):
        graph.initializer.append(numpy_helper.from_array(np.array(values, dtype=np.int64), full_name))
    return full_name


def see_fewer_frames(model: onnx.ModelProto, spec: KeywordSpec, context_right_frames: int) -> KeywordSpec:
    """Have the network repeat the last of so many frames to come in place of those it asks for beyond, in place.

    Args:
        spec: the network's front end as it is.

    Returns:
        The front end of the changed network.

    Raises:
        BundleError: fewer than none or more than the network asks for, or it does so already.
    """
    n_repeated = spec.context_right_frames - context_right_frames
    if not 0 <= context_right_frames <= spec.context_right_frames:
        raise BundleError(
            f"the network sees {spec.context_right_frames} frames to come, not {context_right_frames}",
            fix="give as many or fewer, from 0 on",
        )
    spec = spec.model_copy(update={"context_right_frames": context_right_frames})
    if n_repeated:
        _repeat_last_frame(model, n_repeated)
        _fix_time(model, spec)
    return spec


def _repeat_last_frame(model: onnx.ModelProto, n_times: int) -> None:
    """Of the input, (batch, time, n_mels), before anything else is done with it."""
    _refuse_repeated(model)
    graph, seen = model.graph, model.graph.input[0].name
    bounds = [_constant(graph, name, [value]) for name, value in (("last", -1), ("end", 1 << 30), ("time", 1))]
    longer, last = f"{_LIFTED}longer", f"{_LIFTED}last_frame"
    for node in graph.node:
        node.input[:] = [longer if name == seen else name for name in node.input]
    graph.node.insert(0, helper.make_node("Slice", [seen, *bounds], [last]))
    graph.node.insert(1, helper.make_node("Concat", [seen, *[last] * n_times], [longer], name=_REPEATED, axis=1))
    del graph.value_info[:]
    onnx.checker.check_model(model)


def _refuse_repeated(model: onnx.ModelProto) -> None:
    if any(node.name == _REPEATED for node in model.graph.node):
        raise BundleError("the network repeats its last frame already", fix="start from the one before that")


def with_segments(
    bundle: Bundle,
    out: Path,
    segment_frames: int,
    level_ahead_frames: int | None = None,
    context_right_frames: int | None = None,
) -> Bundle:
    """Write a keyword bundle in its streaming form, with segments of so many frames.

    Networks in fewer bits are left out: `edged-train precision` adds them again. The background stays
    that of the bundle: for a network that sees fewer frames `edged-train calibrate` makes it anew.

    Args:
        level_ahead_frames: how far the level looks ahead; None leaves it as it is.
        context_right_frames: how many frames to come the network sees; for the rest that it asks for, the last one is
            repeated. None leaves it as it is.

    Raises:
        BundleError: no keyword bundle, a network of another kind, one that sees fewer frames to come already, or one
            that does not give the same rows any more.
    """
    if bundle.manifest.kind != "keyword" or bundle.model_path is None:
        raise BundleError(f"{bundle.label}: no keyword bundle with a model", fix="name another one")
    old = keyword_spec(bundle)
    ahead = old.level_ahead_frames if level_ahead_frames is None else level_ahead_frames
    spec = _front_end(old, segment_frames=segment_frames, level_ahead_frames=ahead)
    model = onnx.load(str(bundle.model_path))
    if segment_frames != old.segment_frames:
        _refuse_repeated(model)
    lift(model)  # one that is lifted already has no such convolutions any more
    _fix_time(model, spec)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, str(path))
        error = _rows_error(bundle.model_path, old, path, spec)
        if not error <= MAX_RELATIVE_ERROR:
            raise BundleError(
                f"{bundle.label}: with segments of {segment_frames} frames its rows differ by {error:.1e}",
                fix="only networks without padding in time can be cut otherwise",
            )
        if context_right_frames is not None:
            spec = see_fewer_frames(model, spec, context_right_frames)
            onnx.save(model, str(path))
        manifest = _manifest(bundle.manifest, spec, error)
        return write_bundle(out, manifest, model=path, calibration=bundle.calibration, card=bundle.card)


def _front_end(old: KeywordSpec, **changed: int) -> KeywordSpec:
    try:
        return KeywordSpec.model_validate(old.model_dump() | changed)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise BundleError(f"{wrong['loc'][0]} = {wrong['input']}: {wrong['msg']}", fix="give another number") from None


def _fix_time(model: onnx.ModelProto, spec: KeywordSpec) -> None:
    for tensor, n_frames in ((model.graph.input[0], spec.input_frames), (model.graph.output[0], spec.segment_frames)):
        tensor.type.tensor_type.shape.dim[1].dim_value = n_frames


def _rows_error(old_path: Path, old: KeywordSpec, new_path: Path, new: KeywordSpec) -> float:
    """Largest difference between the rows of both over the same frames, relative to the largest value."""
    n_rows = int(np.lcm(old.segment_frames, new.segment_frames)) * 2
    rng = np.random.default_rng(0)
    n_context = old.context_left_frames + old.context_right_frames
    frames = rng.uniform(old.silence, 2.0, (n_rows + n_context, old.n_mels)).astype(np.float32)
    try:
        expected, found = _rows(old_path, old, frames), _rows(new_path, new, frames)
    except REFUSALS:  # what does not run gives no rows
        return float("inf")
    return float(np.abs(expected - found).max() / np.abs(expected).max()) if expected.shape == found.shape else np.inf


def _rows(path: Path, spec: KeywordSpec, frames: Float32Array) -> Float32Array:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    starts = range(0, len(frames) - spec.input_frames + 1, spec.segment_frames)
    return np.concatenate(
        [session.run(None, {FRAMES: frames[None, start : start + spec.input_frames]})[0][0] for start in starts]
    )


def _manifest(old: Manifest, spec: KeywordSpec, error: float) -> Manifest:
    segment_samples = spec.segment_frames * spec.hop_samples
    if old.model is None:
        raise BundleError(f"{old.id}: no model", fix="name another bundle")
    (output,) = old.model.outputs
    kept = {name: value for name, value in old.parity.items() if name.split("_")[0] not in TYPED_MODEL_NAMES}
    model = old.model.model_copy(
        update={
            "inputs": (TensorSpec(name=FRAMES, shape=(spec.input_frames, spec.n_mels)),),
            "outputs": (TensorSpec(name=output.name, shape=(spec.segment_frames, output.shape[1])),),
        }
    )
    return old.model_copy(
        update={
            "segment_samples": segment_samples,
            "hop_samples": segment_samples,
            "features": spec.model_dump(mode="json"),
            "features_digest": spec.digest(),
            "model": model,
            "parity": {**kept, _PARITY: max(error, old.parity.get(_PARITY, 0.0))},
        }
    )


def main() -> None:
    """Write a bundle once more, in its streaming form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="directory, or 'keyword' for the one that ships with edged")
    parser.add_argument("out", type=Path, help="directory of the new bundle; one that is there is replaced")
    parser.add_argument("--segment-frames", type=int, default=KeywordSpec().segment_frames)
    parser.add_argument("--level-ahead-frames", type=int, default=KeywordSpec().level_ahead_frames)
    parser.add_argument("--context-right-frames", type=int, help="frames to come that the network sees [as it is]")
    arguments = parser.parse_args()
    try:
        bundle = with_segments(
            open_bundle(arguments.bundle),
            arguments.out,
            arguments.segment_frames,
            arguments.level_ahead_frames,
            arguments.context_right_frames,
        )
    except EdgedError as error:
        typer.echo(f"{parser.prog}: {error}", err=True)
        raise SystemExit(error.exit_code) from None
    typer.echo(f"{arguments.out}: {bundle.label}, {bundle.manifest.parity}")


if __name__ == "__main__":
    main()
