"""Who may import whom. The picture of DESIGN.md's flow only holds as long as this does."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "edged").rglob("*.py")
)

HEAVY = ("torch", "lightning", "sklearn", "scipy", "onnx", "tensorrt", "pycuda", "librosa", "matplotlib")
"""Never loaded by importing any module of edged."""

ADAPTERS = {
    "onnxruntime": {"edged.embed.onnx"},
    "tensorrt": {"edged.embed.tensorrt", "edged.compile.builder", "edged.compile.calibrator"},
    "pycuda": {"edged.embed.cuda"},
    "paho": {"edged.bridge.link"},
    "sounddevice": {"edged.capture.microphone", "edged.capture.devices"},
    "PIL": {"edged.explain.picture"},
    "cryptography": {"edged.references.signing"},
    "sklearn": set(),
    "scipy": set(),
    "torch": set(),
}
"""Optional or heavy library -> the only modules that may name it."""

STAGES = ("features", "embed", "score", "decide")
STAGE_IMPORTS = {
    "features": {"edged.flow", "edged.errors", "edged.features"},
    "embed": {"edged.flow", "edged.errors", "edged.embed"},
    "score": {"edged.flow", "edged.errors", "edged.score", "edged.embed.bundle"},
    "decide": {"edged.flow", "edged.errors", "edged.decide"},
}
"""Stage -> what it may import of edged. `score` reads its back ends' parameters from the bundle's specification."""

COMPOSERS = {
    "edged.pipeline",
    "edged.monitor",
    "edged.spotting",
    "edged.frontend",
    "edged.references.anomaly",
    "edged.references.fitting",
    "edged.references.keyword",
    "edged.references.keyword_fit",
    "edged.references.transfer",
}
"""The only modules that name more than one stage: listening, and what is fitted, kept and taken in of each monitor."""

WORLD = ("threading", "multiprocessing", "subprocess", "socket", "zmq", "signal", "asyncio", "queue", "selectors")
"""Libraries of threads, processes and sockets."""

OUTSIDE = (
    "bench",
    "capture",
    "bridge",
    "doctor",
    "events",
    "control",
    "observe",
    "demo",
    "cli",
    "service",
    "safe_mode",
    "daemon",
    "runtime",
    "security",
    "ring",
)
"""The parts of edged that touch the world; everything else is a pure function of its input (and its files)."""


def imported_names(module):
    """Every module a module names in an import, wherever in it the import stands."""
    path = ROOT / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_any(module, libraries):
    return sorted({name for name in imported_names(module) if name.split(".")[0] in libraries})


@pytest.mark.parametrize("library", ADAPTERS)
def test_a_library_is_named_only_in_its_adapter(library):
    assert {module for module in MODULES if imports_any(module, {library})} <= ADAPTERS[library]


def test_importing_all_of_edged_loads_nothing_heavy():
    adapters = set().union(*ADAPTERS.values())
    script = (
        "import importlib, json, sys\n"
        "for name in json.loads(sys.argv[1]): importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    modules = [m for m in MODULES if m not in adapters and not m.endswith("__main__")]
    run = subprocess.run(
        [sys.executable, "-c", script, json.dumps(modules)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr
    assert set(json.loads(run.stdout)) & {*HEAVY, "onnxruntime", "sounddevice", "trainer"} == set()


def test_edged_never_imports_the_trainer():
    assert {module for module in MODULES if imports_any(module, {"trainer"})} == set()


@pytest.mark.parametrize("stage", STAGES)
def test_stages_do_not_import_each_other(stage):
    def allowed(name):
        return any(name == a or name.startswith(a + ".") for a in STAGE_IMPORTS[stage])

    found = {
        f"{module} imports {name}"
        for module in MODULES
        if module.startswith(f"edged.{stage}")
        for name in imported_names(module)
        if name.startswith("edged.") and not allowed(name)
    }
    assert found == set()


def test_only_the_pipeline_and_the_references_compose_stages():
    def stages_of(module):
        names = [name.split(".") for name in imported_names(module) if name.startswith("edged.")]
        return {parts[1] for parts in names} & set(STAGES) - {module.split(".")[1]}

    several = {module for module in MODULES if module.count(".") and len(stages_of(module)) > 1}
    assert several == COMPOSERS


def test_only_the_outside_starts_threads_processes_and_sockets():
    inside = [m for m in MODULES if m.count(".") and m.split(".")[1] not in OUTSIDE]
    assert {module: found for module in inside if (found := imports_any(module, WORLD))} == {}


def test_stages_and_pipeline_read_no_clock():
    inside = [m for m in MODULES if m.split(".")[1:2] and (m.split(".")[1] in STAGES or m == "edged.pipeline")]
    assert inside
    assert {module: found for module in inside if (found := imports_any(module, {"time", "datetime"}))} == {}
