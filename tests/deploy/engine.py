"""A container engine, Podman, with a store of its own, on a Debian tree made here as the base image."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.machine import debian_tree

BASE = "localhost/edged-test-base"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
# Podman's crun knows nothing of both kinds of cgroups at once, and not every host may raise limits
_ENTER = "[ ! -d /sys/fs/cgroup/unified ] || mount -t cgroup2 none /sys/fs/cgroup; echo ready; read -r _ || true"
HERE = (
    "--cgroups=disabled",
    "--no-healthcheck",
    "--network=none",
    "--ulimit=nofile=1024:1024",
    "--ulimit=nproc=4096:4096",
)


def why_not():
    """Why nothing is built here; empty if it can be."""
    tools = ("buildah", "podman", "crun", "catatonit", "debootstrap", "unshare", "nsenter")
    missing = [tool for tool in tools if not shutil.which(tool) and not Path("/usr/libexec/podman", tool).exists()]
    reasons = {
        "takes minutes: set EDGED_CONTAINER_TEST=1": os.environ.get("EDGED_CONTAINER_TEST") != "1",
        "only root can make the base image": os.geteuid() != 0,
        f"missing: {' '.join(missing)} (apt install buildah podman crun catatonit debootstrap)": bool(missing),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


class Engine:
    """Commands of podman and buildah in one mount namespace."""

    def __init__(self, pid, store):
        self._enter = ["nsenter", f"--target={pid}", "--mount", f"--wd={Path.cwd()}", "--"]
        self._store = [f"--root={store}/images", f"--runroot={store}/run"]

    def run(self, program, *arguments, text_in=None):
        """Whatever comes of it."""
        command = [*self._enter, program, *self._store, *map(str, arguments)]
        return subprocess.run(command, input=text_in, capture_output=True, text=True, check=False, timeout=1500)

    def podman(self, *arguments):
        """What must succeed; what it prints."""
        done = self.run("podman", "--cgroup-manager=cgroupfs", *arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def build(self, dockerfile, context, tag, *options):
        """Build an image, with the network of the host and the authorities it trusts."""
        trusted = [f"--volume={AUTHORITIES}:{AUTHORITIES}:ro"] if Path(AUTHORITIES).is_file() else []
        built = ["build", "--isolation=chroot", "--format=docker", *trusted, f"--tag={tag}", f"--file={dockerfile}"]
        done = self.run("buildah", *built, *options, context)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"


@contextmanager
def engine(store):
    """An engine whose images lie below this directory, with the base image in it."""
    command = ["unshare", "--mount", "sh", "-c", _ENTER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        made = Engine(process.pid, store)
        archive = store / "base.tar"
        subprocess.run(["tar", "-C", debian_tree(), "-cf", archive, "."], check=True)
        made.podman("import", archive, BASE)
        archive.unlink()
        yield made
        made.podman("rm", "--force", "--all")
        made.podman("rmi", "--force", "--all")
        process.stdin.close()
