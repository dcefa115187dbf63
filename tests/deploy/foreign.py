"""A Debian for arm64, run here by qemu: a container of its own, whose kernel runs arm64 programs for it alone.

What is changed in it is gone when it stops. The registration of qemu is that of a user namespace (Linux 6.7 and newer):
nothing changes for the computer.
"""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.machine import Machine, debootstrap, made_once

QEMU = "qemu-aarch64-static"
# an ELF file for this processor
MAGIC = "7f454c460201010000000000000000000200b700"
MASK = "ffffffffffffff00fffffffffffffffffeffffff"
# of the processors qemu knows, the nearest to Jetson Orin's Cortex-A78AE
ENVIRONMENT = {"QEMU_CPU": "cortex-a76", "OMP_NUM_THREADS": "1"}
_LIKE_IT = [f"manylinux_2_{minor}_aarch64" for minor in range(17, 37)]  # Debian 12 has glibc 2.36
_ENTER = r"""
echo && read -r _ && set -e  # now the users are there
register=$1 tree=$2 changes=$3
shift 3
if [ -n "$changes" ]; then
    mkdir "$changes/upper" "$changes/work" "$changes/tree"
    mount -t overlay -o "lowerdir=$tree,upperdir=$changes/upper,workdir=$changes/work,userxattr" overlay "$changes/tree"
    tree=$changes/tree
    mount --rbind /dev "$tree/dev"
else
    mount --bind "$tree" "$tree"
fi
mount -t proc proc "$tree/proc"
mount -t binfmt_misc binfmt_misc "$tree/proc/sys/fs/binfmt_misc"  # it holds for as long as this is there
printf %s "$register" >"$tree/proc/sys/fs/binfmt_misc/register"
for shared; do
    mkdir -p "$tree/shared/${shared##*/}"
    mount --bind "$shared" "$tree/shared/${shared##*/}"
done
mkdir -p "$tree/mnt" && cd "$tree"
pivot_root . mnt
umount -l /mnt
echo ready
read -r _ || true
"""


def why_not():
    """Why no arm64 program can be run here; empty if one can."""
    missing = [tool for tool in ("debootstrap", QEMU, "unshare", "nsenter") if not shutil.which(tool)]
    reasons = {
        "takes minutes: set EDGED_ARM64_TEST=1": os.environ.get("EDGED_ARM64_TEST") not in {"1", "package"},
        "only root can make a Debian tree": os.geteuid() != 0,
        f"missing: {' '.join(missing)} (apt install debootstrap qemu-user-static)": bool(missing),
        "needs Linux 6.7, which can register qemu for one container": _kernel() < (6, 7),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _kernel():
    return tuple(int(number) for number in os.uname().release.split(".")[:2])


def arm64_tree():
    """A minimal tree of this Debian for arm64; made once."""
    return made_once("-arm64", _make)


def _make(tree):
    tree.chmod(0o755)
    debootstrap(tree, "--arch=arm64", "--foreign")
    if (tree / "proc").is_symlink():  # in some containers debootstrap makes a link, to itself
        (tree / "proc").unlink()
        (tree / "proc").mkdir()
    with _entered(tree, None) as machine:
        # as in an lxc container: no device can be made, and none is needed
        machine.call("env", "container=lxc", "/debootstrap/debootstrap", "--second-stage")


@contextmanager
def foreign(changes, *shared):
    """An arm64 machine; these directories of the host lie below its /shared.

    Args:
        changes: an empty directory, which takes what is changed.
    """
    with _entered(arm64_tree(), changes, *shared) as machine:
        yield machine


@contextmanager
def _entered(tree, changes, *shared):
    register = f":{QEMU}:M::{_escaped(MAGIC)}:{_escaped(MASK)}:{shutil.which(QEMU)}:F"
    script = ["sh", "-c", _ENTER, "enter", register, tree, changes or "", *shared]
    command = ["unshare", "--user", "--mount", "--pid", "--fork", "--kill-child", *map(str, script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        for table in ("uid_map", "gid_map"):
            Path(f"/proc/{process.pid}/{table}").write_text("0 0 4294967295", encoding="ascii")
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "ready\n", "the arm64 tree cannot be entered"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
        yield Machine(int(children), **ENVIRONMENT)
        process.stdin.close()


def _escaped(digits):
    return "".join(f"\\x{digits[at : at + 2]}" for at in range(0, len(digits), 2))


def arm64_wheels(directory, *wanted):
    """Wheels of these packages and of all they need, for Python of the tree."""
    return _pip(directory, "download", "--dest", *wanted)


def arm64_packages(directory, *wanted):
    """The same, unpacked and compiled: a directory for PYTHONPATH."""
    return _pip(directory, "install", "--target", *wanted)


def _pip(directory, verb, place, *wanted):
    for_it = [f"--platform={platform}" for platform in ("manylinux2014_aarch64", *_LIKE_IT)]
    python = next(arm64_tree().glob("usr/bin/python3.[0-9]*")).name.removeprefix("python")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", verb, place, directory,
               "--only-binary=:all:", f"--python-version={python}", *for_it, *wanted]  # fmt: skip
    subprocess.run([str(part) for part in command], check=True)
    return directory
