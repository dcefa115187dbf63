"""Files that are no encoder, or mean harm: refused by class, within bounds, with a way out."""

import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edged.errors import BundleError, ConfigError
from tests.trainer.external.encoders import graph, halves, with_sidecar
from trainer.external import session
from trainer.external.encoder import OnnxEncoder

CLIP = np.ones(1600, np.float32)


def identity(path: Path, shape: list[Any], dtype: int = TensorProto.FLOAT) -> Path:
    return graph(path, [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)], shape, dtype)


def test_no_file_and_no_model(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such file"):
        OnnxEncoder(tmp_path / "absent.onnx")
    (tmp_path / "e.onnx").write_bytes(b"\x80\x04\x95cposix\nsystem\n")
    with pytest.raises(BundleError, match="cannot be loaded"):
        OnnxEncoder(tmp_path / "e.onnx")


def test_a_file_too_large_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = halves(TensorProto.FLOAT, tmp_path / "e.onnx", ["b", 1600])
    monkeypatch.setattr(session, "MAX_MODEL_BYTES", 100)
    with pytest.raises(BundleError, match="larger than"):
        OnnxEncoder(path)


def test_operators_of_others_are_not_loaded(tmp_path: Path) -> None:
    node = helper.make_node("Surprise", ["x"], ["y"], domain="com.example")
    with pytest.raises(BundleError, match="cannot be loaded"):
        OnnxEncoder(graph(tmp_path / "e.onnx", [node], ["b", 1600]))


def test_weights_outside_of_the_models_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(np.ones(1600, np.float32).tobytes())
    (tmp_path / "sub").mkdir()
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1600], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": "../secret", "offset": "0", "length": "6400"}.items():
        weights.external_data.add(key=key, value=value)
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    path = graph(tmp_path / "sub" / "e.onnx", nodes, ["b", 1600], initializer=[weights])
    with pytest.raises(BundleError, match="cannot be loaded"):
        OnnxEncoder(path)


def huge(path: Path, *, hidden: bool) -> Path:
    """12 GB in one node, as the output or on the way to it."""
    size = helper.make_tensor("v", TensorProto.INT64, [2], [1, 3_000_000_000])
    nodes = [
        helper.make_node("Constant", [], ["size"], value=size),
        helper.make_node("ConstantOfShape", ["size"], ["huge"]),
        helper.make_node("ReduceMean", ["huge"], ["sum"], axes=[1], keepdims=1),
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Add", ["sum" if hidden else "huge", "mean"], ["y"]),
    ]
    return graph(path, nodes, ["b", 1600])


@pytest.mark.parametrize(("hidden", "message"), [(True, "cannot run"), (False, "3000000000")])
def test_a_network_that_wants_all_memory_gets_none_of_it(tmp_path: Path, *, hidden: bool, message: str) -> None:
    """Refused by the arena before the system has to, or on sight of the output's shape."""
    path = huge(tmp_path / "e.onnx", hidden=hidden)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BundleError, match=message):
        OnnxEncoder(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 1 << 20


def test_a_network_without_end_is_ended(tmp_path: Path) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["a", "a"], ["b"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("a", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("Constant", [], ["n"], value=helper.make_tensor("v", TensorProto.INT64, [], [1 << 60])),
        helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True])),
        helper.make_node("Loop", ["n", "yes", "x"], ["y"], body=body),
    ]
    path = graph(tmp_path / "e.onnx", nodes, ["b", 1600])
    start = time.monotonic()
    with pytest.raises(BundleError, match=r"within 0\.2 s"):
        OnnxEncoder(path, max_run_s=0.2)
    assert time.monotonic() - start < 30.0


def test_several_inputs(tmp_path: Path) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 8]) for name in "xz"]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    made = helper.make_graph([helper.make_node("Add", ["x", "z"], ["y"])], "g", values, [output])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, str(tmp_path / "e.onnx"))
    with pytest.raises(BundleError, match=r"takes 2 inputs \('x', 'z'\)"):
        OnnxEncoder(tmp_path / "e.onnx")


@pytest.mark.parametrize(
    ("shape", "sidecar", "message"),
    [
        (["b", "n", 3, 4, 5], {}, "5 axes, which is no waveform"),
        ([], {}, "0 axes"),
        (["b", 2, 1600], {}, "2 channels"),
        ([4096, 1600], {}, "4096 windows at once"),
        (["b", 1600], {"window_s": 0.5}, "windows of 1600 samples and no others"),
        (["b", 1600], {"whole_clip": True}, "windows of 1600 samples and no others"),
        (["b", 1 << 26], {}, "a window of"),
        (["b", 10, 40], {"log_mel": {"n_mels": 64}}, "40 bands, not 64"),
        (["b", 1600], {"output": "z"}, "no 'z'"),
        (["b", 1600], {"layout": ["batch", "channel", "samples"]}, "2 axes"),
        (["b", "c", "n", 4], {"layout": ["batch", "samples"]}, "4 axes"),
    ],
)
def test_shapes_that_do_not_fit(tmp_path: Path, shape: list[Any], sidecar: dict[str, Any], message: str) -> None:
    path = with_sidecar(identity(tmp_path / "e.onnx", shape), sidecar)
    with pytest.raises(BundleError, match=message):
        OnnxEncoder(path)


def test_types_that_are_no_audio(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"is tensor\(bool\)"):
        OnnxEncoder(identity(tmp_path / "e.onnx", ["b", 1600], TensorProto.BOOL))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (helper.make_node("Flatten", ["x"], ["y"], axis=0), r"gives \(1, 16000\), not"),
        (helper.make_node("Log", ["x"], ["y"]), "not finite"),
        (helper.make_node("Size", ["x"], ["y"]), "tensor"),
    ],
)
def test_outputs_that_are_no_embedding(tmp_path: Path, node: onnx.NodeProto, message: str) -> None:
    """One row for ten windows, logarithms of negative samples, an integer."""
    path = with_sidecar(graph(tmp_path / "e.onnx", [node], ["b", 1600]), {})
    with pytest.raises(BundleError, match=message):
        OnnxEncoder(path)


def test_an_embedding_that_changes_its_length_is_refused(tmp_path: Path) -> None:
    path = with_sidecar(identity(tmp_path / "e.onnx", ["b", "n"]), {"whole_clip": True})
    with pytest.raises(BundleError, match="gives 1600 values now, 16000 before"):
        OnnxEncoder(path).vectors(CLIP)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("windows_s: 1", "windows_s"),
        ("sample_rate_hz: 1", "sample_rate_hz"),
        ("[1, 2]", "holds no fields"),
        ("a: [", "e.yaml"),
        ("[" * 2000, "e.yaml"),
        ("# " + "x" * (1 << 16), "larger than 64 KiB"),
        ("whole_clip: true\nhop_s: 1.0", "whole_clip excludes"),
        ("layout: [batch, time]", "layout must name each axis once"),
        ("log_mel: {fmin_hz: 9000}", "fmin_hz must lie below"),
        ("log_mel: {fmax_hz: 9000}", "above half the sample rate"),
        ("!!python/object/apply:os.system ['true']", "e.yaml"),
    ],
)
def test_sidecars_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    path = halves(TensorProto.FLOAT, tmp_path / "e.onnx", ["b", 1600])
    path.with_suffix(".yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        OnnxEncoder(path)
