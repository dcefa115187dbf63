"""The TensorRT embedder on the recorded-call fake: what it asks for in which order, and what it does when refused."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edged.embed.bundle import Manifest, ModelSpec, RepresentationSpec, TensorSpec, features_digest, write_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.errors import AcceleratorError, BundleError
from edged.features.anomaly import AnomalySpec
from edged.flow import Segment
from tests.fakes.accelerator import accelerator
from tests.fakes.cuda import Gpu
from tests.fakes.tensorrt import _MAGIC, VERSIONS

FEATURES = AnomalySpec(inputs=()).model_dump(mode="json")
MAX_BATCH = 12


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A small network of two inputs."""
    folder = tmp_path_factory.mktemp("bundle")
    weights = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Concat", ["a", "b"], ["joined"], axis=1),
            helper.make_node("MatMul", ["joined", "w"], ["product"]),
            helper.make_node("Relu", ["product"], ["out"]),
        ],
        "small",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", k]) for n, k in (("a", 2), ("b", 4))],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "m.onnx"))
    spec = ModelSpec(
        opset=17,
        inputs=(TensorSpec(name="a", shape=(2,)), TensorSpec(name="b", shape=(4,))),
        outputs=(TensorSpec(name="out", shape=(4,)),),
    )
    manifest = Manifest(
        kind="anomaly", id="t", version="1", segment_samples=160000, hop_samples=40960, features=FEATURES,
        features_digest=features_digest(FEATURES), model=spec, score_direction="higher_is_more_anomalous",
        representations=(RepresentationSpec(name="out", source="model", dim=4, backend="cosine"),
                         RepresentationSpec(name="level", source="features", dim=1, backend="density")),
    )  # fmt: skip
    return write_bundle(folder / "bundle", manifest, model=folder / "m.onnx")


def plan_of(bundle, largest=MAX_BATCH):
    shapes = {s.name: [[1, *s.shape], [2, *s.shape], [largest, *s.shape]] for s in bundle.manifest.model.inputs}
    return _MAGIC + json.dumps(shapes).encode() + b"\n" + bundle.model_path.read_bytes()


def segments(n, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Segment(k, k + 1, {"a": rng.random(2, np.float32), "b": rng.random(4, np.float32), "level": np.ones(1, "f4")})
        for k in range(n)
    ]


@pytest.fixture(params=VERSIONS)
def fake(request):
    with accelerator(request.param) as made:
        yield made


@pytest.fixture
def newest():
    with accelerator(VERSIONS[-1]) as made:
        yield made


def embedder_of(bundle, plan=None, **options):
    from edged.embed.tensorrt import TensorRtEmbedder

    return TensorRtEmbedder(bundle, plan or plan_of(bundle), "fp16", **options)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 9, 12, 13, 40])
def test_any_number_of_segments_gives_what_the_cpu_gives(fake, bundle, n):
    embedder = embedder_of(bundle)
    for seed in (0, 1):  # the second time from graphs, in buffers that hold other values
        given = segments(n, seed)
        found = embedder.embed(given)
        expected = OnnxEmbedder(bundle).embed(given)
        assert len(found) == n
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a.vectors["out"], b.vectors["out"], rtol=1e-5)
            assert a.vectors["level"] is b.vectors["level"]
            assert (a.sample_start, a.epoch) == (b.sample_start, b.epoch)
    embedder.close()


def test_results_outlast_the_next_batch(newest, bundle):
    embedder = embedder_of(bundle)
    first = embedder.embed(segments(2))
    kept = [e.vectors["out"].copy() for e in first]
    embedder.embed(segments(2, seed=5))
    assert all(np.array_equal(e.vectors["out"], k) for e, k in zip(first, kept, strict=True))


def test_order_of_calls_without_a_graph(fake, bundle):
    gpu, _ = fake
    embedder = embedder_of(bundle, with_graphs=False)
    gpu.calls.clear()
    embedder.embed(segments(3))
    assert [call[0] for call in gpu.calls] == ["upload", "upload", "download", "synchronize"]
    assert [call[1] for call in gpu.calls[:3]] == [(3, 2), (3, 4), (3, 4)]


def test_names_and_not_an_order_decide(fake, bundle):
    _, trt = fake
    embedder = embedder_of(bundle, with_graphs=False)
    trt.calls.clear()
    embedder.embed(segments(3))
    assert [call for call in trt.calls if "shape" in call[0]] == [
        ("IExecutionContext.set_input_shape", "a", (3, 2)),
        ("IExecutionContext.set_input_shape", "b", (3, 4)),
    ]
    assert [call[0] for call in trt.calls][-1] == "IExecutionContext.execute_async_v3"


def test_a_size_is_captured_once_and_then_replayed(newest, bundle):
    gpu, _trt = newest
    embedder = embedder_of(bundle)
    for _ in range(5):
        embedder.embed(segments(3))  # as 4
    assert gpu.counted("begin_capture") == gpu.counted("instantiate") == 1
    assert gpu.counted("launch") == 5
    embedder.embed(segments(8))
    assert gpu.counted("begin_capture") == 2
    embedder.embed(segments(9))  # no graph of that size
    assert gpu.counted("begin_capture") == 2


def test_buffers_are_made_once(newest, bundle):
    gpu, _ = newest
    embedder = embedder_of(bundle)
    made = gpu.counted("mem_alloc")
    for n in (1, 5, 12, 30):
        embedder.embed(segments(n))
    assert gpu.counted("mem_alloc") == made == 3


def test_a_driver_without_graphs_is_no_reason_to_stop(newest, bundle):
    gpu, _ = newest
    gpu.fails.add("begin_capture")
    embedder = embedder_of(bundle)
    assert len(embedder.embed(segments(3))) == 3
    assert "900" in embedder.graphs_off
    embedder.embed(segments(3))
    assert gpu.counted("begin_capture") == 1  # tried once


@pytest.mark.parametrize("failing", ["work", "instantiate", "end"])
def test_a_capture_that_fails_leaves_no_graph_behind(newest, failing):
    # what was captured up to the error was never released
    gpu, _ = newest
    from edged.embed.cuda import Device, new_stream
    from edged.embed.cuda_graph import Driver

    functions = gpu.driver()
    if failing == "end":  # gives a graph all the same
        functions.cuStreamEndCapture = lambda *args: gpu._end(*args) or 901
    gpu.fails.add(failing)

    def work():
        if failing == "work":
            raise AcceleratorError("the engine failed")

    with Device():
        stream = new_stream()
        with pytest.raises(AcceleratorError):
            Driver(functions).capture(stream.handle, work)
    assert gpu.graphs == {}


def test_release_leaves_nothing(fake, bundle):
    gpu, _ = fake
    embedder = embedder_of(bundle)
    embedder.embed(segments(3))
    embedder.close()
    embedder.close()
    assert (gpu.memory, gpu.graphs, gpu.open_contexts, gpu.stack) == ({}, {}, 0, [])
    order = [call[0] for call in gpu.calls]
    assert order.index("destroy_executable") < order.index("free") < order.index("context.detach")
    with pytest.raises(AcceleratorError, match="released"):
        embedder.embed(segments(1))


@pytest.mark.parametrize("call", ["free", "context.detach"])
def test_a_gpu_that_refuses_the_release_stops_nothing(newest, bundle, call):
    """The worker releases an engine that failed, and goes on by the CPU: an error here ended it."""
    gpu, _ = newest
    embedder = embedder_of(bundle)
    gpu.fails.add(call)
    embedder.close()
    assert gpu.counted("context.detach") == 1
    assert gpu.stack == []


def test_two_embedders_share_a_gpu(newest, bundle):
    gpu, _ = newest
    one, two = embedder_of(bundle), embedder_of(bundle)
    one.close()
    assert len(two.embed(segments(2))) == 2
    two.close()
    assert gpu.open_contexts == 0


@pytest.mark.parametrize("fault", ["read_fails", "no_context"])
def test_an_engine_that_cannot_be_opened_is_refused_and_released(fake, bundle, fault):
    gpu, trt = fake
    setattr(trt.faults, fault, True)
    with pytest.raises(AcceleratorError):
        embedder_of(bundle)
    assert (gpu.memory, gpu.open_contexts, gpu.stack) == ({}, 0, [])


def test_tensorrt_says_why(fake, bundle):
    _, trt = fake
    trt.faults.read_fails = True
    with pytest.raises(AcceleratorError, match="not compatible with this version"):
        embedder_of(bundle)


def test_an_engine_of_another_network_is_refused(newest, bundle):
    other = bundle.manifest.model.model_copy(update={"outputs": (TensorSpec(name="other", shape=(4,)),)})
    manifest = bundle.manifest.model_copy(update={"model": other})
    wrong = type(bundle)(bundle.directory, manifest, bundle.digest, {})
    with pytest.raises(AcceleratorError, match="another network"):
        embedder_of(wrong, plan_of(bundle))


def test_other_shapes_are_refused(newest, bundle):
    other = bundle.manifest.model.model_copy(update={"outputs": (TensorSpec(name="out", shape=(5,)),)})
    wrong = type(bundle)(bundle.directory, bundle.manifest.model_copy(update={"model": other}), bundle.digest, {})
    with pytest.raises(AcceleratorError, match=r"'out' of the engine is float32 \(-1, 4\)"):
        embedder_of(wrong, plan_of(bundle))


@pytest.mark.parametrize("fault", ["run_fails", "refuses_shape"])
def test_a_run_that_fails_is_said(newest, bundle, fault):
    _, trt = newest
    embedder = embedder_of(bundle)
    setattr(trt.faults, fault, True)
    with pytest.raises(AcceleratorError):
        embedder.embed(segments(10))
    embedder.close()


@pytest.mark.parametrize("call", ["upload", "synchronize", "download"])
def test_a_cuda_error_is_said(newest, bundle, call):
    gpu, _ = newest
    embedder = embedder_of(bundle, with_graphs=False)
    gpu.fails.add(call)
    with pytest.raises(AcceleratorError, match="launch failure"):
        embedder.embed(segments(2))
    assert gpu.stack == []


def test_outputs_that_are_not_finite_are_refused(newest, bundle):
    _, trt = newest
    embedder = embedder_of(bundle)
    trt.faults.factor = float("nan")
    with pytest.raises(BundleError, match="not finite"):
        embedder.embed(segments(2))


def test_without_a_gpu_it_says_so(bundle):
    with accelerator(VERSIONS[0], Gpu(n_devices=0)), pytest.raises(AcceleratorError, match="no GPU"):
        embedder_of(bundle)
