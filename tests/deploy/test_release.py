"""How a release is made and named: release.sh on small wheels, without network."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = f"set -euo pipefail; . {REPOSITORY}/deploy/environment.sh; . {REPOSITORY}/deploy/release.sh; "


def shell(script, **environment):
    """What a line says that uses the functions of release.sh."""
    own = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "CUDA_HOME": "/nonexistent", **environment}
    return subprocess.run(["bash", "-c", SOURCES + script], env=own, capture_output=True, text=True, check=False)


def put_wheel(directory, name, *requirements, extras=(), version="1.0"):
    """An almost empty wheel: one module that knows its version."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {one}" for one in requirements] + [f"Provides-Extra: {one}" for one in extras]
    facts = f"{name}-{version}.dist-info"
    content = {
        f"{name}.py": f"VERSION = '{version}'\n",
        f"{facts}/METADATA": "\n".join(lines) + "\n",
        f"{facts}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    content[f"{facts}/RECORD"] = "".join(f"{path},,\n" for path in [*content, f"{facts}/RECORD"])
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in content.items():
            wheel.writestr(path, text)


# -- what a release is called ------------------------------------------------------------------------------------------


def test_a_release_that_sees_the_system_is_another_one(tmp_path):
    """TensorRT was installed, install.sh run again: it found the release there already and left it blind."""
    put_wheel(tmp_path, "edged", version="0.1.0")
    plain = shell(f"release_name {tmp_path}").stdout
    seeing = shell(f"release_name {tmp_path} --system-site-packages").stdout
    assert plain.startswith("0.1.0-")
    assert seeing.startswith("0.1.0-")
    assert plain != seeing
    assert shell(f'options=(); release_name {tmp_path} "${{options[@]}}"').stdout == plain


# -- what is in it -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("systemctl"), reason="systemd is missing")
@pytest.mark.parametrize("with_pycuda", [False, True])
def test_what_the_system_has_too_comes_along_all_the_same(tmp_path, with_pycuda):
    """pip took the system's for good enough, and an update of the system changed the release."""
    wheels, system, stage = tmp_path / "wheels", tmp_path / "system", tmp_path / "stage"
    put_wheel(wheels, "edged", "sonority", extras=("microphone", "mqtt"))
    put_wheel(wheels, "sonority", version="2.0")
    if with_pycuda:
        put_wheel(wheels, "pycuda")
    put_wheel(tmp_path, "sonority", version="2.0")
    zipfile.ZipFile(tmp_path / "sonority-2.0-py3-none-any.whl").extractall(system)
    made = shell(
        f"new_environment {sys.executable} {stage}; build_release {REPOSITORY} {wheels} {stage} /opt/edged/releases/x",
        PYTHONPATH=str(system),
    )
    assert made.returncode == 0, made.stderr
    (packages,) = stage.glob("lib/python3.*/site-packages")
    assert (packages / "sonority.py").is_file()
    assert (packages / "pycuda.py").is_file() == with_pycuda


# -- pycuda, of which there are no wheels ------------------------------------------------------------------------------


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_a_pycuda_that_was_built_is_built_no_more(tmp_path, out):
    put_wheel(tmp_path / "kept", "pycuda", "mako")
    put_wheel(tmp_path / "kept", "mako")
    done = shell(f"collect_pycuda {sys.executable} {out} {tmp_path}/kept")
    assert done.returncode == 0, done.stderr
    assert {path.name.split("-")[0] for path in out.iterdir()} == {"pycuda", "mako"}


def test_without_network_it_comes_from_the_wheels(tmp_path, out):
    put_wheel(tmp_path / "offline", "pycuda")
    done = shell(f"collect_engine_packages {sys.executable} {out} {tmp_path}/kept {tmp_path}/offline")
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in out.iterdir()] == ["pycuda-1.0-py3-none-any.whl"]


@pytest.mark.parametrize("offline", ["", "offline"])
def test_where_it_cannot_be_had_the_rest_is_installed(tmp_path, out, offline):
    (tmp_path / "offline").mkdir()
    done = shell(f"collect_engine_packages {sys.executable} {out} {tmp_path}/kept {offline and tmp_path / offline}")
    assert done.returncode == 0
    assert "without pycuda the CPU runs the networks" in done.stderr
    assert list(out.iterdir()) == []
    assert not (tmp_path / "kept").exists()


def test_a_build_that_fails_leaves_nothing(tmp_path, out):
    compiler = tmp_path / "bin/nvcc"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\n", encoding="utf-8")
    compiler.chmod(0o755)
    done = shell(
        f"collect_engine_packages {sys.executable} {out} {tmp_path}/kept",
        PATH=f"{compiler.parent}:{os.environ['PATH']}",
        PIP_NO_INDEX="1",
        PIP_CONFIG_FILE=os.devnull,
    )
    assert done.returncode == 0
    assert "building pycuda" in done.stderr
    assert "without pycuda" in done.stderr
    assert list(out.iterdir()) == []
    assert not (tmp_path / "kept").exists()
