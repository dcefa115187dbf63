"""What can run a network here: the CPU, and on the fake GPU an engine that `edged compile` made."""

import json

import pytest

from edged.assembly import open_bundle
from edged.bench.networks import CPU_SIZES, batch_times, choices, opened
from edged.bench.report import network_facts
from edged.compile.engines import EngineRecord, EngineStore, Hardware
from edged.embed import onnx as onnx_embedder
from edged.embed.onnx import OnnxEmbedder
from edged.errors import AcceleratorError
from tests.fakes.accelerator import accelerator
from tests.fakes.tensorrt import _MAGIC, VERSIONS

BUNDLE = open_bundle("keyword")


@pytest.fixture
def engines(tmp_path):
    return EngineStore(tmp_path)


@pytest.fixture
def gpu(monkeypatch):
    with accelerator(VERSIONS[-1]) as made:
        yield made


def choice(engines, name):
    return next(one for one in choices(BUNDLE, engines) if one.name == name)


def install(engines, device):
    shapes = {s.name: [[1, *s.shape], [2, *s.shape], [8, *s.shape]] for s in BUNDLE.manifest.model.inputs}
    plan = _MAGIC + json.dumps(shapes).encode() + b"\n" + BUNDLE.model_path.read_bytes()
    record = EngineRecord(
        network=BUNDLE.vectors_digest, source="", precision="fp32", typing="strong", profile=(1, 2, 8),
        hardware=device,
    )  # fmt: skip
    engines.install(BUNDLE, record, plan)


def test_the_cpu_runs_batches(engines):
    with opened(choice(engines, "CPU")) as embedder:
        times = batch_times(BUNDLE, embedder, CPU_SIZES, 0.3)
    assert [time.size for time in times] == list(CPU_SIZES)
    assert all(time.cpu_s > 0 and 0 < time.p50_s <= time.p99_s for time in times)
    facts = network_facts(BUNDLE, embedder.provider, times, on_gpu=False)
    assert facts["streams_per"] == "core"
    assert 1 < facts["streams_of_network_alone"] < 100_000


def test_without_a_gpu_the_reason_is_told(engines, monkeypatch):
    monkeypatch.setattr(onnx_embedder, "has_cuda", lambda: False)
    with opened(choice(engines, "CUDA")) as reason:
        assert reason == "this ONNX Runtime has no CUDA"
    with opened(choice(engines, "TensorRT")) as reason:
        assert "edged compile" in reason


def test_an_engine_of_this_computer_is_measured_and_released(engines, gpu):
    from edged.compile.hardware import this_hardware

    install(engines, this_hardware())
    with opened(choice(engines, "TensorRT")) as embedder:
        times = batch_times(BUNDLE, embedder, (1, 2, 8, 16), 0.1)
        assert embedder.provider.startswith(f"TensorRT {VERSIONS[-1]}")
    assert [time.size for time in times] == [1, 2, 8, 16]  # those beyond the engine's profile in several batches
    assert (gpu[0].memory, gpu[0].open_contexts) == ({}, 0)
    assert network_facts(BUNDLE, "TensorRT", times, on_gpu=True)["streams_per"] == "GPU"


def test_an_engine_of_another_computer_is_not(engines, gpu):
    install(engines, Hardware("8.0.0", 12060, "Orin", "8.7"))
    with opened(choice(engines, "TensorRT")) as reason:
        assert "other hardware" in reason


def test_a_gpu_that_fails_at_a_size_ends_the_sizes_there(monkeypatch):
    embedder = OnnxEmbedder(BUNDLE)
    embed = embedder.embed

    def small_only(batch):
        if len(batch) > 2:
            raise AcceleratorError("no memory")
        return embed(batch)

    monkeypatch.setattr(embedder, "embed", small_only)
    assert [time.size for time in batch_times(BUNDLE, embedder, (1, 2, 4, 8), 0.0)] == [1, 2]


def test_a_bundle_without_a_network_has_nothing_for_a_gpu(tmp_path):
    features_only = BUNDLE.manifest.model_copy(update={"model": None})
    bundle = type(BUNDLE)(BUNDLE.directory, features_only, BUNDLE.digest, {})
    assert [one.name for one in choices(bundle, EngineStore(tmp_path))] == ["CPU"]
