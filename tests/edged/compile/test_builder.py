"""What each version of TensorRT is asked to build, by tables of what the real modules have."""

import ast
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import onnx
import pytest

from edged.assembly import open_bundle
from edged.errors import AcceleratorError
from tests.edged.embed import check_tensorrt_api as api
from tests.fakes.accelerator import accelerator
from tests.fakes.tensorrt import TABLES, VERSIONS

ROOT = Path(__file__).resolve().parents[3]
USERS = ("edged/embed/tensorrt.py", "edged/compile/builder.py", "edged/compile/calibrator.py")


@pytest.fixture(params=VERSIONS)
def fake(request):
    with accelerator(request.param) as (gpu, trt):
        yield gpu, trt


def order(bundle=None, precision="fp32", *, has_types=True, **changes):
    from edged.compile.builder import Order, typing_of

    bundle = bundle or open_bundle("keyword")
    typing = changes.pop("typing", None) or typing_of(precision, has_types=has_types)
    values = {"profile": (1, 4, 32), "workspace_mib": 64, "optimisation_level": 3, **changes}
    return Order(bundle.model_path.read_bytes(), has_types, bundle.manifest.model, precision, typing, **values)


def built(gpu, wish, timing=b""):
    from edged.compile.builder import build
    from edged.embed.cuda import Device

    device = Device()
    try:
        with device:
            return build(wish, timing)
    finally:
        device.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_branch_finds_what_it_names(version):
    assert api.problems(TABLES[version], version) == []


def test_the_tables_differ_where_the_branches_are():
    strong = [v for v in VERSIONS if "NetworkDefinitionCreationFlag.STRONGLY_TYPED" in TABLES[v]]
    weak = [v for v in VERSIONS if "BuilderFlag.FP16" in TABLES[v]]
    assert sorted(v.split(".")[0] for v in strong) == ["10", "10", "11"]
    assert sorted(v.split(".")[0] for v in weak) == ["10", "10", "8"]


def test_nothing_of_the_module_is_named_that_no_table_covers():
    named = set()
    for path in USERS:
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
            name = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            if name.startswith("trt."):
                named.add(name.removeprefix("trt."))
    covered = {*api.ALWAYS, *api.SOMEWHERE}
    parents = {known.rsplit(".", 1)[0] for known in covered}
    assert {n for n in named if n not in covered | parents and n != "ILogger.Severity"} == set()


def test_the_installed_tensorrt_has_all_of_it():
    """With the real module: here, or the one that EDGED_TENSORRT_PYTHON has (LD_LIBRARY_PATH as it needs it)."""
    python = os.environ.get("EDGED_TENSORRT_PYTHON", sys.executable)
    run = subprocess.run([python, api.__file__], capture_output=True, text=True, check=False)
    if "not installed" in run.stderr:
        pytest.skip("no TensorRT; set EDGED_TENSORRT_PYTHON")
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("stage", ["typing", "build", "embedder"])
def test_our_code_on_the_real_module(stage):
    """As far as it goes without a GPU: the logger is taken, and both constructors give nothing, as documented."""
    python = os.environ.get("EDGED_TENSORRT_PYTHON")
    if python is None:
        pytest.skip("no TensorRT; set EDGED_TENSORRT_PYTHON")
    script = Path(__file__).with_name("on_real_tensorrt.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])}
    run = subprocess.run([python, script], capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["messages"] == ["said by a test"]
    if stage == "typing":
        first = "strong" if not found["version"].startswith("8.") else "weak"
        assert [found["typing"][f"{p} typed"] for p in ("fp32", "fp16", "int8")] == [first] * 3
    elif stage == "build":
        assert "TensorRT cannot build here: pybind11::init(): factory function returned nullptr" in found["build"]
    else:
        assert "TensorRT does not start" in found["embedder"]


def test_fp32_is_strongly_typed_where_that_exists_and_never_tf32(fake):
    gpu, trt = fake
    plan, timing = built(gpu, order())
    assert trt.built["strong"] == hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
    assert trt.built["flags"] == []
    assert plan
    assert timing == b"measured;"


def test_the_creation_flags_are_what_the_version_knows(fake):
    gpu, trt = fake
    built(gpu, order())
    flags = trt.NetworkDefinitionCreationFlag
    expected = sum(1 << int(getattr(flags, n)) for n in ("EXPLICIT_BATCH", "STRONGLY_TYPED") if hasattr(flags, n))
    assert trt.built["network"]._flags == expected


def test_fp16_with_a_file_of_that_precision(fake):
    gpu, trt = fake
    built(gpu, order(precision="fp16"))
    strong = hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
    assert (trt.built["strong"], "FP16" in trt.built["flags"]) == (strong, not strong)


def test_fp16_from_the_float32_file(fake):
    gpu, trt = fake
    if not hasattr(trt.BuilderFlag, "FP16"):
        with pytest.raises(AcceleratorError, match="only from a network of that precision"):
            order(precision="fp16", has_types=False)
        return
    built(gpu, order(precision="fp16", has_types=False))
    assert (trt.built["strong"], "FP16" in trt.built["flags"]) == (False, True)
    reduce, convolution = trt.built["network"]._layers
    assert (reduce.precision, reduce._output_type) == (trt.float32, trt.float32)
    assert convolution.precision is None


def test_int8_by_pairs_needs_no_calibrator(fake):
    gpu, trt = fake
    built(gpu, order(precision="int8"))
    assert trt.built["config"].__dict__.get("int8_calibrator") is None
    strong = hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
    assert ("INT8" in trt.built["flags"]) != strong


def test_int8_without_pairs_calibrates_where_that_still_exists(fake):
    gpu, trt = fake
    bundle = open_bundle("keyword")
    inputs = {s.name: np.zeros((11, *s.shape), np.float32) for s in bundle.manifest.model.inputs}
    if not hasattr(trt, "IInt8EntropyCalibrator2"):
        with pytest.raises(AcceleratorError):
            order(bundle, "int8", has_types=False)
        return
    built(gpu, order(bundle, "int8", has_types=False, calibration=inputs))
    assert trt.built["calibrated"] == 2  # of four; what is left over is not shown


def test_one_profile_names_every_input(fake):
    gpu, trt = fake
    bundle = open_bundle("anomaly")
    built(gpu, order(bundle))
    (profile,) = trt.built["config"]._profiles
    assert profile._shapes == {
        s.name: [[1, *s.shape], [4, *s.shape], [32, *s.shape]] for s in bundle.manifest.model.inputs
    }


def test_the_timing_cache_goes_in_and_out(fake):
    gpu, _trt = fake
    assert built(gpu, order(), b"measured;")[1] == b"measured;measured;"


def test_a_timing_cache_of_another_device_is_left_aside(fake):
    gpu, _trt = fake
    assert built(gpu, order(), b"other device;")[1] == b"measured;"


def test_what_the_builder_says_is_shown(fake):
    gpu, trt = fake
    trt.faults.build_fails = True
    with pytest.raises(AcceleratorError, match="could not find any implementation for node conv_1"):
        built(gpu, order())


def test_what_the_parser_says_is_shown(fake):
    gpu, trt = fake
    trt.faults.parse_errors = ["no importer for STFT", "second"]
    with pytest.raises(AcceleratorError, match="no importer for STFT; second"):
        built(gpu, order())


def test_a_builder_that_does_not_come_to_be(fake):
    """What the real modules do without a driver: pybind11 raises TypeError."""
    gpu, trt = fake
    trt.faults.builder_gives_nothing = True
    with pytest.raises(AcceleratorError, match="cannot build here"):
        built(gpu, order())


def test_networks_use_operators_that_every_parser_has():
    """The transforms stay outside: STFT is read from 10.5, DFT never."""
    for kind in ("anomaly", "keyword"):
        model = onnx.load(str(open_bundle(kind).model_path))
        assert {node.op_type for node in model.graph.node}.isdisjoint({"STFT", "DFT", "HannWindow", "Loop", "If"})
        assert [opset.version for opset in model.opset_import] == [17]


def test_tables_are_as_the_script_writes_them():
    assert api.TABLE.read_text() == json.dumps(dict(sorted(TABLES.items())), indent=1) + "\n"
