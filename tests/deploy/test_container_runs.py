"""The container files, built and run by Podman as container/README.md says.

Not as there: the base image is a Debian tree made here, by debootstrap (no registry is asked); sound cards, ports,
groups and real-time priority are left out, as a build machine has none. Of Dockerfile.l4t the definition alone is
tried: TensorRT, nvcc and pycuda are stand-ins.

Takes minutes, root, and the network: EDGED_CONTAINER_TEST=1 .venv-test/bin/python -m pytest
tests/deploy/test_container_runs.py
"""

import json
import os
import shlex
import time

import pytest
import soundfile

from tests.deploy import engine
from tests.deploy.guide import commands
from tests.deploy.test_containers import CONTAINER
from tests.deploy.test_release import put_wheel
from tests.deploy.wheels import REPOSITORY
from tests.integration.helpers import RATE_HZ, hum

pytestmark = [
    pytest.mark.skipif(bool(engine.why_not()), reason=f"no image is built: {engine.why_not()}"),
    pytest.mark.timeout(3000),
    pytest.mark.xdist_group("booted"),
]

UID = 64720
LEFT_OUT = ("--group-add", "--device-cgroup-rule", "--ulimit", "--publish", "--restart", "--pids-limit")
CONFIG = """
devices: {hall: {source: file, path: /etc/edged/hum.wav, loop: true}}
streams: {press-3: {device: hall, channel: 0, monitors: [anomaly]}}
"""
STAND_INS = """
FROM localhost/edged-test-base
ENV PIP_FIND_LINKS=/wheels
RUN mkdir -p /usr/local/cuda/bin /usr/lib/python3/dist-packages/tensorrt \\
    && printf '#!/bin/sh\\necho stand-in\\n' >/usr/local/cuda/bin/nvcc && chmod 755 /usr/local/cuda/bin/nvcc \\
    && echo '__version__ = "0.stand-in"' >/usr/lib/python3/dist-packages/tensorrt/__init__.py
"""


@pytest.fixture(scope="module")
def podman(tmp_path_factory):
    with engine.engine(tmp_path_factory.mktemp("engine")) as made:
        yield made


@pytest.fixture(scope="module")
def image(podman):
    podman.build(CONTAINER / "Dockerfile", REPOSITORY, "edged", f"--build-arg=BASE={engine.BASE}")
    return "edged"


def run_of_the_guide(directory):
    """The words of its `docker run --detach`, without what is left out, with directories of the test's own."""
    (written,) = (command for command in commands("container/README.md") if "--detach" in command)
    words, kept = shlex.split(written.replace("$(getent group audio | cut -d: -f3)", "29")), []
    assert words[:2] == ["docker", "run"]
    rest = iter(words[2:])
    for word in rest:
        if word in LEFT_OUT:
            next(rest)
        elif word == "--volume":
            volume = next(rest)
            if not volume.startswith("/dev/"):
                kept += ["--volume", volume.replace("/etc/edged-keys:", f"{directory}/keys:").replace(
                    "/etc/edged:/", f"{directory}/etc:/")]  # fmt: skip
        else:
            kept.append(word.replace(f",mode=0750,uid={UID},gid={UID}", ""))  # Podman takes them from the image
    return kept


@pytest.fixture(scope="module")
def container(podman, image, tmp_path_factory):
    """The daemon, with keys, as the guide starts it."""
    directory = tmp_path_factory.mktemp("container")
    for name in ("etc", "keys"):
        (directory / name).mkdir()
    soundfile.write(directory / "etc/hum.wav", hum(30.0), RATE_HZ)
    (directory / "keys").chmod(0o700)
    os.chown(directory / "keys", UID, UID)
    directory.chmod(0o755)
    keys = ["run", "--rm", *engine.HERE, "--volume", f"{directory}/keys:/keys", image, "keys"]
    lines = podman.podman(*keys, "init", "--dir", "/keys")
    podman.podman(*keys, "add", "press-panel", "--dir", "/keys")
    (directory / "etc/edged.yaml").write_text(CONFIG + lines + "\n", encoding="utf-8")
    podman.podman("run", *engine.HERE, *run_of_the_guide(directory))
    yield lambda *command: podman.podman("exec", "edged", *command)
    podman.podman("rm", "--force", "edged")


def wait_for(condition, timeout_s=60.0):
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.5)


def test_the_daemon_hears_and_scores(podman, container):
    wait_for(lambda: podman.run("podman", "exec", "edged", "edged", "status").returncode == 0)

    def samples():
        return json.loads(container("edged", "status", "--json"))["streams"]["press-3"]["samples"]["anomaly"]

    wait_for(lambda: samples()["received"] > 0)
    assert samples()["lost"] == 0


def test_it_is_confined(podman, container):
    facts = dict(line.split(":\t", 1) for line in container("cat", "/proc/1/status").splitlines() if ":\t" in line)
    assert facts["Uid"].split() == [str(UID)] * 4
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
    assert facts["NoNewPrivs"] == "1"
    for path in ("/x", "/opt/edged/x", "/etc/edged/x", "/keys/x"):
        refused = podman.run("podman", "exec", "edged", "touch", path)
        assert "Read-only file system" in refused.stderr
    container("touch", "/tmp/x", "/var/lib/edged/x", "/run/edged/x")


def test_its_health_is_that_of_the_daemon(podman, container):
    check = json.loads(podman.podman("inspect", "edged"))[0]["Config"]
    image = json.loads(podman.podman("image", "inspect", "edged"))[0]
    assert image["HealthCheck" if "HealthCheck" in image else "Healthcheck"]["Test"] == ["CMD", "edged", "status"]
    assert check["User"] == f"{UID}:{UID}"


def test_other_computers_may_be_let_in_by_keys(container):
    listening = container("cat", "/proc/net/tcp")
    assert f":{9751:04X} " in listening
    assert f":{9752:04X} " in listening
    assert "press-panel" in container("edged", "keys", "list")


def test_it_ends_when_told_with_nothing_lost(podman, container):
    podman.podman("stop", "--time", "15", "edged")
    assert json.loads(podman.podman("inspect", "edged"))[0]["State"]["ExitCode"] == 0


def test_the_definition_for_a_jetson_can_be_carried_out(podman, tmp_path):
    (tmp_path / "Dockerfile").write_text(STAND_INS, encoding="utf-8")
    podman.build(tmp_path / "Dockerfile", tmp_path, "localhost/l4t-stand-in")
    put_wheel(tmp_path / "wheels", "pycuda", version="9999.0")
    podman.build(
        CONTAINER / "Dockerfile.l4t", REPOSITORY, "edged:l4t", "--build-arg=BASE=localhost/l4t-stand-in",
        f"--volume={tmp_path}/wheels:/wheels:ro",
    )  # fmt: skip
    seen = "import edged, numpy, pycuda, tensorrt; print(tensorrt.__version__, numpy.__file__, pycuda.VERSION)"
    told = podman.podman("run", "--rm", *engine.HERE, "--entrypoint=/opt/edged/bin/python", "edged:l4t", "-c", seen)
    assert told.startswith("0.stand-in /opt/edged/")
    assert told.endswith("9999.0")


def test_without_tensorrt_the_image_for_a_jetson_is_not_built(podman):
    options = [f"--build-arg=BASE={engine.BASE}", "--isolation=chroot", f"--file={CONTAINER / 'Dockerfile.l4t'}"]
    refused = podman.run("buildah", "build", *options, REPOSITORY)
    assert refused.returncode != 0
    assert "BASE has no TensorRT for Python" in refused.stdout + refused.stderr
