"""JETSON.md and FLEET.md, followed to the letter: a new user, a Debian that was just made, every command in order.

Not as written, as there is neither a Jetson nor a microphone: commands in blocks ```sh jetson are left out; an editor
(`sudo nano FILE`) puts the guide's own text there; the configuration's microphone is a file in which a machine hums and
gets a fault (the configuration as written is checked before); ten minutes of normal sound are one; what does not end by
itself is ended; `timedatectl` says that the clock is synchronised, as nobody sets it in a container. Of FLEET.md, what
concerns a second device is done on the first, and the fault, which comes again and again, is an acceptable alarm.

Takes a quarter of an hour, root, and the network: EDGED_GUIDE_TEST=1 EDGED_BOOT_TEST=1 .venv-test/bin/python -m pytest
-s tests/deploy/test_guide.py
"""

import json
import os
import re
import shutil
import subprocess
import time

import numpy as np
import pytest
import soundfile

from tests.deploy.guide import blocks, commands
from tests.deploy.installed import CONFIG_FILE, status
from tests.deploy.machine import booted, own_tree, why_not
from tests.deploy.wheels import REPOSITORY
from tests.integration.helpers import RATE_HZ, hum

pytestmark = [
    pytest.mark.skipif(os.environ.get("EDGED_GUIDE_TEST") != "1", reason="takes minutes: set EDGED_GUIDE_TEST=1"),
    pytest.mark.skipif(bool(why_not()), reason=f"no booted machine: {why_not()}"),
    pytest.mark.timeout(3600),
    pytest.mark.xdist_group("booted"),
]

USER = "newcomer"
NORMAL_S, FAULT_S = 100.0, 20.0
HEARD_S = 65.0  # before the last 60 s of it are enrolled
MICROPHONE = '{source: microphone, name: "hw:CARD=press3,DEV=0"}'
SOUND = "/var/lib/edged/press.wav"
FILE = f"{{source: file, path: {SOUND}, loop: true}}"
BUNDLE = "/srv/bundles/press"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A Debian with a user who may use sudo and has this source tree in edged/, and little else that JetPack brings."""
    with own_tree(tmp_path_factory.mktemp("guide")) as tree:
        shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")
        certificates = tree / "etc/ssl/certs/ca-certificates.crt"
        if certificates.is_file():
            shutil.copy("/etc/ssl/certs/ca-certificates.crt", certificates)
        _as_root(tree, "apt-get --quiet purge --yes --auto-remove python3-venv libportaudio2")
        _as_root(tree, "apt-get --quiet update && apt-get --quiet install --yes --no-install-recommends sudo udev")
        _as_root(tree, f"useradd --create-home --shell /bin/bash {USER}")
        clock = tree / "usr/local/bin/timedatectl"
        clock.write_text("#!/bin/sh\necho yes\n", encoding="ascii")
        clock.chmod(0o755)
        with (tree / "etc/hosts").open("a", encoding="ascii") as hosts:
            hosts.write(f"127.0.1.1 {os.uname().nodename} edged-boot-test\n")
        (tree / "etc/sudoers.d" / USER).write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n", encoding="ascii")
        home = tree / "home" / USER / "edged"
        listed = ["git", "-C", REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.check_output(list(map(str, listed)), text=True).rstrip("\0").split("\0")
        for name in names:
            if (REPOSITORY / name).is_file():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(REPOSITORY / name, home / name)
        sound = np.concatenate([hum(NORMAL_S), hum(FAULT_S, seed=1, fault=True)])
        soundfile.write(home / "press.wav", sound, RATE_HZ)
        _as_root(tree, f"chown -R {USER}: /home/{USER}; chmod 755 /home/{USER}")
        yield tree


def _as_root(tree, script):
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["chroot", tree, "sh", "-c", script], env=environment, check=True, capture_output=True)


@pytest.fixture(scope="module")
def device(tree):
    with booted(tree=tree, has_network=True) as machine:
        yield machine


class Reader:
    """Somebody at a terminal of the device, logged in anew for each command."""

    def __init__(self, device):
        self._device = device

    def types(self, command):
        began_s = time.monotonic()
        done = self._device.run("su", "-", USER, "-c", f"cd edged && {command}")
        print(f"$ {command}\n[{done.returncode}, {time.monotonic() - began_s:.1f} s]")
        print("\n".join(f"  {line}" for line in (done.stdout + done.stderr).splitlines()[-12:]), flush=True)
        return done

    def succeeds(self, command):
        done = self.types(command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{self._device.journal()}"
        return done.stdout


@pytest.fixture(scope="module")
def reader(device):
    return Reader(device)


def heard_s(device):
    return status(device)["streams"]["press-3"]["samples"]["anomaly"]["received"] / RATE_HZ


def test_from_installation_to_the_first_event(device, reader):
    (configuration,) = blocks("JETSON.md", "yaml")
    assert MICROPHONE in configuration
    printed = {}
    for written in commands("JETSON.md"):
        command = written
        if written.startswith("sudo nano "):
            continue
        if written == f"edged check-config {CONFIG_FILE}":
            device.write(CONFIG_FILE, configuration)
            reader.succeeds(written)
            device.call("install", "-o", "edged", f"/home/{USER}/edged/press.wav", SOUND)
            device.write(CONFIG_FILE, configuration.replace(MICROPHONE, FILE))
        elif written == "edged enroll --last 10m --stream press-3":
            device.wait_until(lambda: heard_s(device) > HEARD_S, timeout_s=2 * HEARD_S)
            command = written.replace("10m", "60s")
        elif written == "edged listen":
            device.wait_until(lambda: has_onset(device), timeout_s=2 * (NORMAL_S + FAULT_S))
            command = "timeout 3 edged listen || [ $? -eq 124 ]"
        printed[written] = reader.succeeds(command)
    assert "onset" in printed["edged events --topic anomaly."]
    assert "all is well" in printed["sudo edged doctor"]
    assert re.search(r"write_bytes: \d+", printed[next(reversed(printed))])
    assert "/run/log/journal" in device.call("journalctl", "--header")


def has_onset(device):
    lines = device.call("edged", "events", "--topic", "anomaly.", "--jsonl").splitlines()
    return any(json.loads(line)["kind"] == "onset" for line in lines)


def test_changes_of_a_fleet_stay_or_go(device, reader):
    put_bundles(device)
    device.write("/tmp/edged.yaml", device.call("cat", CONFIG_FILE) + "\nevents: {heartbeat_s: 5.0}\n")
    signer = device.call("edged", "references", "signer")
    for written in commands("FLEET.md"):
        if written.startswith("for device in "):  # needs several devices
            continue
        command = written.replace("edged-ed25519:...", signer).replace("--minutes 60 --alarms 1 ", "")
        # the fault in the file comes again and again
        reader.succeeds(command.replace("libexec/guarded ", "libexec/guarded --minutes 0 --alarms 9 "))
    assert device.call("readlink", BUNDLE) == "press-2"
    assert "heartbeat_s" in device.call("cat", CONFIG_FILE)

    banks = device.call("edged", "references", "show", "--stream", "press-3", "--json")
    guarded = "sudo /opt/edged/current/libexec/guarded --minutes 0 --alarms 9 --restart"
    undone = reader.types(f"{guarded} --undo 'ln -sfn press-2 {BUNDLE}' -- ln -sfn press-nowhere {BUNDLE}")
    assert undone.returncode == 1
    assert "undone" in undone.stderr
    assert device.call("readlink", BUNDLE) == "press-2"
    assert device.property("ActiveState") == "active"
    assert device.call("edged", "references", "show", "--stream", "press-3", "--json") == banks


def put_bundles(device):
    """Two versions of a bundle, and a configuration that names it by a link."""
    shipped = device.call("sh", "-c", "echo /opt/edged/current/lib/python3.*/site-packages/edged/bundles/anomaly")
    device.call("mkdir", "-p", BUNDLE.rpartition("/")[0])
    for version in (1, 2):
        device.call("cp", "-r", shipped, f"{BUNDLE}-{version}")
    device.call("ln", "-sfn", "press-1", BUNDLE)
    before = device.call("cat", CONFIG_FILE)
    named = before.replace("monitors: [anomaly]", f"monitors: {{anomaly: {{bundle: {BUNDLE}}}}}")
    assert named != before
    device.write(CONFIG_FILE, named)
    device.call("systemctl", "restart", "edged")


def test_tensorrt_that_was_installed_later_is_seen_after_installing_again(device, reader):
    """Of TensorRT and pycuda there is no more than the names; the daemon has to make do with the CPU."""
    seen = "/opt/edged/current/bin/python -c 'import tensorrt, pycuda, numpy; print(numpy.__file__)'"
    assert device.run("sh", "-c", seen).returncode != 0
    before = device.call("readlink", "/opt/edged/current")
    for name in ("tensorrt", "pycuda"):
        device.write(f"/usr/lib/python3/dist-packages/{name}/__init__.py", "__version__ = '10.3.0'\n")
    device.write("/etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n")
    reader.succeeds("sudo deploy/install.sh")
    assert device.call("readlink", "/opt/edged/current") != before
    assert device.call("sh", "-c", seen).startswith("/opt/edged/")
    assert {one["runs_on"] for one in status(device)["backends"].values()} == {"CPUExecutionProvider"}
    assert "without tensorrt" not in reader.succeeds("sudo edged doctor")

    again = device.call("readlink", "/opt/edged/current")
    reader.succeeds("sudo deploy/install.sh")
    assert device.call("readlink", "/opt/edged/current") == again
