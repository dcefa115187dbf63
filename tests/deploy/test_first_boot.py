"""The first boot of a device with a GPU, from an image with the package, its configuration and references.

Real: the booted systemd, the units, the package on the system's Python packages as on a Jetson, `edged compile` and
its comparisons, the daemon and its watcher. **Not real: the GPU.** `tensorrt` and `pycuda` are `tests/fakes` on the
system's path (names and parameters of TensorRT 10.3, ONNX Runtime inside), /dev/nvidia0 is an empty file, and the
builder waits for the test. Nothing here says how long an engine takes.

Takes minutes, and root: EDGED_BOOT_TEST=1 .venv-test/bin/python -m pytest -s tests/deploy/test_first_boot.py
"""

import json

import pytest

from tests.deploy.installed import COMPILE, CONFIG, CONFIG_FILE, STATE, hears_and_scores, processes, status
from tests.deploy.machine import booted, in_image, own_tree, why_not
from tests.deploy.wheels import build_package, other_package
from tests.fakes import orin

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=f"no booted machine: {why_not()}"),
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("booted"),
]

CPU, ENGINE = "CPUExecutionProvider", f"TensorRT {orin.VERSION} fp16"
BUILD_TIMEOUT_S = 600.0


@pytest.fixture(scope="module")
def packages(tmp_path_factory, source, wheels):
    directory = tmp_path_factory.mktemp("jetson-packages")
    now = build_package(source, wheels, directory / "now", "--system-site-packages")
    return {"directory": directory, "now": now, "0.1.2": other_package(now, directory / "0.1.2", "0.1.2")}


@pytest.fixture(scope="module")
def image(tmp_path_factory, packages, sounds):
    """A tree as it is flashed: nothing of it has ever run."""
    with own_tree(tmp_path_factory.mktemp("image")) as tree:
        orin.install(tree)
        (tree / "etc/edged").mkdir()
        (tree / CONFIG_FILE[1:]).write_text(CONFIG, encoding="utf-8")
        shared = (packages["directory"], sounds)
        in_image(tree, shared, "dpkg", "--install", inside(packages, "now"))
        in_image(tree, shared, "install", "-o", "edged", f"/shared/{sounds.name}/0.wav", f"{STATE}/hum.wav")
        in_image(tree, shared, "install", "-o", "edged", "/dev/null", orin.HOLD)
        in_image(tree, shared, "edged", "enroll", "--clips", f"/shared/{sounds.name}", "--stream", "press-3")
        in_image(tree, shared, "systemctl", "enable", "edged")
        yield tree


def inside(packages, name):
    """Where a package lies on the machine."""
    path = packages[name].relative_to(packages["directory"])
    return f"/shared/{packages['directory'].name}/{path}"


@pytest.fixture(scope="module")
def device(image, packages):
    with booted(packages["directory"], tree=image) as machine:
        yield machine


def runs_on(machine):
    return {one["runs_on"] for one in status(machine)["backends"].values()}


def becomes_s(machine, unit, state):
    """When a unit last became that, in seconds of the machine's clock."""
    return int(machine.property(f"{state}TimestampMonotonic", unit)) / 1e6


def life(machine):
    return machine.property("MainPID"), machine.property("NRestarts")


def told(machine):
    """The status events about what runs the networks."""
    events = map(json.loads, machine.call("edged", "events", "--topic", "status.", "--jsonl").splitlines())
    return [event["state"] for event in events if event.get("subject") == "backend"]


def test_the_boot_is_over_and_edged_ready_while_engines_are_built(device):
    assert COMPILE in device.call("systemctl", "list-dependencies", "--plain", "edged.service")
    assert COMPILE not in device.call("systemctl", "list-dependencies", "--plain", "--after", "edged.service")
    assert device.property("ActiveState") == "active"
    assert device.property("ActiveState", COMPILE) == "active"
    assert device.call("systemctl", "is-system-running") == "running"
    moments = {
        "compile begins": becomes_s(device, COMPILE, "InactiveExit"),
        "edged begins": becomes_s(device, "edged.service", "InactiveExit"),
        "edged is ready": becomes_s(device, "edged.service", "ActiveEnter"),
        "multi-user is reached": becomes_s(device, "multi-user.target", "ActiveEnter"),
    }
    first = min(moments.values())
    print(*(f"{name} {at - first:.2f} s" for name, at in moments.items()), sep="\n")
    assert 0.0 not in moments.values()
    assert moments["compile begins"] < moments["edged is ready"]


def test_until_then_the_cpu_listens(device):
    device.wait_until(lambda: "building fp16" in device.journal(COMPILE))
    for _ in range(3):
        assert hears_and_scores(device)
        assert runs_on(device) == {CPU}
    assert all("no engine" in one["reason"] for one in status(device)["backends"].values())
    assert device.property("ActiveState", COMPILE) == "active"
    assert told(device) == []


def test_engines_are_taken_without_a_restart(device):
    before, child = life(device), processes(device)
    device.call("rm", orin.HOLD)
    device.wait_until(lambda: device.property("ActiveState", COMPILE) == "inactive", BUILD_TIMEOUT_S)
    journal = device.journal(COMPILE)
    assert device.property("Result", COMPILE) == "success", journal
    assert journal.count(f": built, {ENGINE} on Orin") == 2, journal
    device.wait_until(lambda: runs_on(device) == {ENGINE})
    assert life(device) == before
    assert set(child) >= set(processes(device))  # its capture child goes on too; `edged compile` has ended
    assert told(device) == [ENGINE, ENGINE]
    assert hears_and_scores(device)
    samples = status(device)["streams"]["press-3"]["samples"]
    assert {one["lost"] for one in samples.values()} == {0}
    assert "Traceback" not in device.journal()


def test_after_a_restart_they_are_there_and_not_built_again(device):
    device.call("systemctl", "restart", "edged")
    device.wait_until(lambda: runs_on(device) == {ENGINE})
    device.wait_until(lambda: device.property("ActiveState", COMPILE) == "inactive", BUILD_TIMEOUT_S)
    assert device.property("Result", COMPILE) == "success"
    assert device.journal(COMPILE).count(f": up to date, {ENGINE}") == 2
    assert hears_and_scores(device)


def test_after_an_upgrade_it_looks_again(device, packages):
    pid = device.property("MainPID")
    device.call("dpkg", "--install", inside(packages, "0.1.2"))
    assert status(device)["version"] == "0.1.2"
    assert device.property("MainPID") != pid
    device.wait_until(lambda: device.property("ActiveState", COMPILE) == "inactive", BUILD_TIMEOUT_S)
    assert device.journal(COMPILE).count(f": up to date, {ENGINE}") == 4
    device.wait_until(lambda: runs_on(device) == {ENGINE})
    assert hears_and_scores(device)
