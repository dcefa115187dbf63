"""Networks in fewer bits: typed as they should be, rounded where they should be, and close to what they were."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, numpy_helper

from edged.assembly import open_bundle
from edged.compile.reference import reference_clips
from edged.embed.bundle import load_bundle, write_bundle
from edged.errors import BundleError
from trainer.export import _inputs, add_precision
from trainer.low_precision import MOST_CALIBRATED, WEIGHTED, to_fp16, to_int8, with_rounded_activations


@pytest.fixture(scope="module", params=["anomaly", "keyword"])
def case(request):
    """(network, inputs of some reference segments)."""
    bundle = open_bundle(request.param)
    segments = [segment for clip in reference_clips(bundle) for segment in clip][::4]
    names = [spec.name for spec in bundle.manifest.model.inputs]
    return onnx.load(str(bundle.model_path)), {n: np.stack([s.features[n] for s in segments]) for n in names}


def run(model, inputs, names=None):
    onnx.checker.check_model(model, full_check=True)
    return ort.InferenceSession(model.SerializeToString()).run(names, inputs)[0]


def cosines(a, b):
    a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def types_of(model):
    inferred = onnx.shape_inference.infer_shapes(model).graph
    return {v.name: v.type.tensor_type.elem_type for v in (*inferred.value_info, *inferred.input, *inferred.output)}


def test_fp16_is_close(case):
    network, inputs = case
    assert cosines(run(network, inputs), run(to_fp16(network), inputs)).min() > 0.9999


def test_fp16_weights_take_half_the_room_and_the_original_stays(case):
    network, _ = case
    before = network.SerializeToString()
    assert len(to_fp16(network).SerializeToString()) < 0.55 * len(before)
    assert network.SerializeToString() == before


def test_every_weighted_node_works_in_16_bits_and_the_ends_in_32(case):
    network, _ = case
    short = to_fp16(network)
    types = types_of(short)
    weighted = [node for node in short.graph.node if node.op_type in WEIGHTED]
    assert {types[node.output[0]] for node in weighted} == {TensorProto.FLOAT16}
    assert {types[v.name] for v in (*short.graph.input, *short.graph.output)} == {TensorProto.FLOAT}
    for node in short.graph.node:  # sums and roots, which overflow, and the mean that a level of -80 dB is taken from
        if node.op_type in {"ReduceSum", "Sqrt", "ReduceMean", "Sub"}:
            assert types[node.output[0]] == TensorProto.FLOAT


def test_the_emulation_rounds_every_activation(case):
    network, inputs = case
    emulated = with_rounded_activations(network)
    relu = next(node.output[0] for node in emulated.graph.node if node.op_type == "Relu").removesuffix("_exact")
    emulated.graph.output.append(onnx.helper.make_empty_tensor_value_info(relu))
    values = ort.InferenceSession(emulated.SerializeToString()).run([relu], inputs)[0]
    assert np.array_equal(values, values.astype(np.float16).astype(np.float32))
    assert len(np.unique(values)) > 100


def test_the_emulation_agrees_with_what_runs_in_16_bits(case):
    network, inputs = case
    assert cosines(run(to_fp16(network), inputs), run(with_rounded_activations(network), inputs)).min() > 0.99999


def test_a_weight_too_large_for_16_bits_is_bounded(case):
    network, inputs = case
    large = onnx.ModelProto()
    large.CopyFrom(network)
    weight = next(t for t in large.graph.initializer if t.data_type == TensorProto.FLOAT and len(t.dims) == 4)
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] = 1e6
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    stored = {t.name: numpy_helper.to_array(t) for t in to_fp16(large).graph.initializer}[weight.name]
    assert np.isfinite(stored).all()
    assert stored.flat[0] == 65504.0
    del inputs


def test_a_weight_that_a_node_in_float32_shares_stays_what_it_was():
    # rounding it in place gave that node 16 bits: a network that no runtime takes
    helper = onnx.helper
    weights = np.full((4, 4), 0.1, np.float32)
    nodes = [
        helper.make_node("Mul", ["x", "shared"], ["scaled"]),  # before the first weights: float32
        helper.make_node("MatMul", ["scaled", "w"], ["first"]),
        helper.make_node("Add", ["first", "shared"], ["moved"]),
        helper.make_node("MatMul", ["moved", "w"], ["y"]),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes, "shared", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
            [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(weights[0] / 3, "shared")],
        ),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
    )  # fmt: skip
    inputs = {"x": np.arange(4, dtype=np.float32)[None]}
    for changed in (to_fp16(model), with_rounded_activations(model)):
        np.testing.assert_allclose(run(changed, inputs), run(model, inputs), rtol=2e-3)
    stored = {t.name: t.data_type for t in to_fp16(model).graph.initializer}
    assert stored == {"w": TensorProto.FLOAT16, "shared": TensorProto.FLOAT}


def test_int8_has_symmetric_pairs_as_tensorrt_wants_them(case):
    network, inputs = case
    short = to_int8(network, inputs)
    assert cosines(run(network, inputs), run(short, inputs)).min() > 0.95
    constants = {t.name: numpy_helper.to_array(t) for t in short.graph.initializer}
    pairs = [node for node in short.graph.node if node.op_type in {"QuantizeLinear", "DequantizeLinear"}]
    assert len(pairs) > 20
    for node in pairs:
        assert not constants[node.input[2]].any()  # zero point 0
        assert constants[node.input[2]].dtype == np.int8


def test_int8_needs_something_to_calibrate_on(case):
    network, inputs = case
    with pytest.raises(BundleError, match="calibrate"):
        to_int8(network, {name: values[:0] for name, values in inputs.items()})


@pytest.fixture
def copied(tmp_path):
    source = open_bundle("anomaly")
    manifest = source.manifest.model_copy(update={"files": {}})
    return write_bundle(tmp_path / "bundle", manifest, model=source.model_path, card="# a card\n")


def test_a_bundle_is_extended_in_place(copied):
    extended = add_precision(copied.directory, "fp16")
    assert load_bundle(copied.directory).digest == extended.digest != copied.digest
    assert extended.vectors_digest == copied.vectors_digest  # what is enrolled stays of use
    assert (extended.directory / "card.md").read_text() == "# a card\n"
    assert extended.typed_model_path("fp16").is_file()
    assert extended.typed_model_path("int8") is None
    assert extended.manifest.parity["fp16_least_cosine"] > 0.9999


def test_int8_reads_no_more_clips_than_it_is_calibrated_on():
    """A folder of hours was read, and held as features, to its end."""
    n_read = 0

    def clips():
        nonlocal n_read
        while n_read < 1000:
            n_read += 1
            yield np.zeros(160_000, np.float32)

    inputs = _inputs(open_bundle("keyword"), clips())
    assert all(len(values) >= MOST_CALIBRATED for values in inputs.values())
    assert n_read == 2


def test_a_network_that_would_decide_otherwise_is_refused(copied, monkeypatch):
    monkeypatch.setattr("trainer.export.with_rounded_activations", _spoilt)
    with pytest.raises(BundleError, match="fp16: embeddings differ"):
        add_precision(copied.directory, "fp16")
    assert load_bundle(copied.directory).digest == copied.digest


def _spoilt(network):
    spoilt = with_rounded_activations(network)
    for tensor in spoilt.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.3), tensor.name))
    return spoilt
