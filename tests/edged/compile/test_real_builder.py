"""edged's build code on a real builder: that of TensorRT for RTX, which works without a GPU (`on_tensorrt_rtx.py`)."""

import json
import os
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest

from edged.assembly import open_bundle
from trainer.low_precision import to_int8

ROOT = Path(__file__).resolve().parents[3]
KINDS = ("anomaly", "keyword")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the script tells, of the bundles' networks and of INT8 ones made here."""
    python = os.environ.get("EDGED_TENSORRT_RTX_PYTHON") or (find_spec("tensorrt_rtx") and sys.executable)
    if not python:
        pytest.skip("no TensorRT for RTX: pip install tensorrt-rtx-cu12, or set EDGED_TENSORRT_RTX_PYTHON")
    folder, rng = tmp_path_factory.mktemp("networks"), np.random.default_rng(1)
    for kind in KINDS:
        bundle = open_bundle(kind)
        inputs = {s.name: rng.normal(size=(8, *s.shape)).astype(np.float32) for s in bundle.manifest.model.inputs}
        onnx.save(to_int8(onnx.load(str(bundle.model_path)), inputs), str(folder / f"{kind}-int8.onnx"))
    script = Path(__file__).with_name("on_tensorrt_rtx.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])}
    run = subprocess.run([python, script, folder], capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_an_engine_is_built_from_every_network(found, kind, precision):
    built = found[f"{kind}-int8" if precision == "int8" else f"{kind} {precision}"]
    assert built["strong"]
    assert built["profiles"] == 1
    assert (built["workspace_mib"], built["level"]) == (256, 2)
    model = open_bundle(kind).manifest.model
    specs = (*model.inputs, *model.outputs)
    assert built["tensors"] == {spec.name: ["DataType.FLOAT", [-1, *spec.shape]] for spec in specs}
    assert built["bytes"] > open_bundle(kind).typed_model_path("fp16").stat().st_size // 2


@pytest.mark.parametrize("kind", KINDS)
def test_types_are_those_of_the_file(found, kind):
    whole, half, eighth = (found[name]["types"] for name in (f"{kind} fp32", f"{kind} fp16", f"{kind}-int8"))
    assert set(whole).isdisjoint({"DataType.HALF", "DataType.INT8"})
    assert half["DataType.HALF"] > half["DataType.FLOAT"]
    assert eighth["DataType.INT8"] > 0
    assert found[f"{kind} fp16"]["bytes"] < 0.8 * found[f"{kind} fp32"]["bytes"]


def test_fp32_is_never_tf32(found):
    assert not any(found[f"{kind} fp32"]["tf32"] for kind in KINDS)


def test_what_the_parser_and_the_builder_say_is_shown(found):
    assert "cannot read the network" in found["cut off"]["refused"]
    assert "Failed to parse the ONNX model" in found["cut off"]["refused"]
    assert "Dynamic input tensor frames is missing dimensions in profile 0" in found["other network"]["refused"]


def test_a_timing_cache_goes_in_and_out_and_a_foreign_one_does_no_harm(found):
    plain = found["keyword fp32"]
    assert plain["cache"] > 0
    assert found["own timing cache"] == plain
    assert found["foreign timing cache"] == plain


def test_an_engine_without_a_driver_is_refused_with_the_reason(found):
    assert found["run"].startswith("the engine cannot be read: ")
    assert "CUDA driver version is insufficient" in found["run"]
