"""A Debian of its own, booted with systemd in a container; what is changed in it is gone when it stops."""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

PACKAGES = ("systemd", "systemd-sysv", "dbus", "python3", "python3-venv", "libportaudio2", "ca-certificates")
CACHE = Path(os.environ.get("EDGED_BOOT_CACHE", tempfile.gettempdir() + "/edged-boot"))
BOOT_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
COMMAND_TIMEOUT_S = 1800.0
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


def why_not():
    """Why no machine can be booted here; empty if one can."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    missing = [tool for tool in ("debootstrap", "systemd-nspawn", "nsenter") if not shutil.which(tool)]
    reasons = {
        "takes minutes: set EDGED_BOOT_TEST=1": os.environ.get("EDGED_BOOT_TEST") != "1",
        "only root can boot a container": os.geteuid() != 0,
        f"missing: {' '.join(missing)} (apt install debootstrap systemd-container)": bool(missing),
        "needs Debian, whose own release is booted": release.get("ID") != "debian",
        "no overlay file system": "overlay" not in Path("/proc/filesystems").read_text(),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def mirror_and_codename():
    """Where the Debian that runs here has its packages from, and what it is called."""
    listed = [
        "apt-get",
        "indextargets",
        "--format",
        "$(REPO_URI) $(CODENAME)",
        "Component: main",
        "Created-By: Packages",
    ]
    return subprocess.check_output(listed, text=True).splitlines()[0].split()


def debian_tree():
    """A minimal tree of the Debian that runs here, from its configured mirror; made once."""
    return made_once("", debootstrap)


def made_once(kind, make):
    """A tree of this Debian in the cache; one whose making was interrupted is not taken for it.

    Args:
        kind: what its name tells it apart by.
        make: fills a directory.
    """
    mirror, codename = mirror_and_codename()
    name = hashlib.sha256(" ".join((mirror, codename, *PACKAGES)).encode()).hexdigest()[:8]
    tree = CACHE / f"{codename}{kind}-{name}"
    if not tree.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=CACHE))
        make(unfinished)
        unfinished.chmod(0o755)
        unfinished.rename(tree)
    return tree


def debootstrap(tree, *options):
    """Fill a directory with what every tree under test has."""
    mirror, codename = mirror_and_codename()
    command = ["debootstrap", *options, "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    subprocess.run([*command, codename, str(tree), mirror], check=True)


class Machine:
    """A machine by its first process: run commands in it as root."""

    def __init__(self, leader, **environment):
        self._leader, self._environment = leader, {**ENVIRONMENT, **environment}

    def run(self, *command, timeout_s=COMMAND_TIMEOUT_S):
        """A command, whatever comes of it."""
        enter = [
            "nsenter",
            "--target",
            str(self._leader),
            "--all",
            "--",
            "sh",
            "-c",
            'cd / && exec "$@"',
            "run",
            *map(str, command),
        ]
        return subprocess.run(
            enter, env=self._environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def call(self, *command):
        """A command that must succeed; what it prints."""
        done = self.run(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{self.journal()}"
        return done.stdout.strip()

    def write(self, path, text):
        self.call("sh", "-c", 'mkdir -p "$(dirname "$1")" && printf "%s" "$2" >"$1"', "write", path, text)

    def property(self, name, unit="edged.service"):
        return self.call("systemctl", "show", f"--property={name}", "--value", unit)

    def journal(self, unit="edged.service"):
        return self.run("journalctl", f"--unit={unit}", "--output=cat", "--no-pager", "--lines=500").stdout

    def wait_until(self, condition, timeout_s=60.0):
        """Poll: what systemd does next is told to nobody."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, self.journal()
            time.sleep(0.2)


@contextmanager
def own_tree(directory):
    """A Debian tree below this directory: what is changed in it stays, as on a disk, until the end."""
    parts = [directory / name for name in ("upper", "work", "tree")]
    for part in parts:
        part.mkdir()
    upper, work, tree = parts
    options = f"lowerdir={debian_tree()},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", tree], check=True)
    try:
        yield tree
    finally:
        subprocess.run(["umount", tree], check=True)


def in_image(tree, shared, *command):
    """Run a command that must succeed in a tree in which nothing runs, as whoever makes an image does."""
    nspawn = [*_nspawn(tree, shared), "--console=pipe", *map(str, command)]
    done = subprocess.run(nspawn, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def _nspawn(tree, shared, has_network=False):
    # a host that was not booted with systemd has nobody to make a scope
    scope = [] if Path("/run/systemd/system").is_dir() else ["--keep-unit"]
    binds = [f"--bind-ro={directory}:/shared/{directory.name}" for directory in shared]
    return [
        "systemd-nspawn", "--quiet", f"--directory={tree}", "--register=no", *scope,
        *([] if has_network else ["--private-network"]), "--machine=edged-boot-test", *binds,
    ]  # fmt: skip


@contextmanager
def booted(*shared, tree=None, has_network=False):
    """A machine in which these directories of the host lie below /shared, read-only.

    Args:
        tree: boots this one, and what is changed in it stays.
        has_network: the host's.
    """
    volatile = [] if tree else ["--volatile=overlay"]
    command = [*_nspawn(tree or debian_tree(), shared, has_network), *volatile, "--boot", "--console=pipe"]
    with tempfile.TemporaryFile() as console:
        nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        try:
            leader = _leader_of(nspawn, console)
            yield Machine(leader)
            os.kill(leader, signal.SIGRTMIN + 4)  # power off
            nspawn.wait(STOP_TIMEOUT_S)
        finally:
            if nspawn.poll() is None:
                nspawn.kill()
            nspawn.wait()


def _leader_of(nspawn, console):
    """The machine's first process, once systemd has booted it."""
    deadline_s = time.monotonic() + BOOT_TIMEOUT_S
    while time.monotonic() < deadline_s and nspawn.poll() is None:
        children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split()
        for child in children:
            state = Machine(child).run("systemctl", "is-system-running").stdout.strip()
            if state in {"running", "degraded"}:
                return int(child)
        time.sleep(0.3)
    console.seek(0)
    raise AssertionError(f"the machine does not boot: {console.read().decode(errors='replace')}")
