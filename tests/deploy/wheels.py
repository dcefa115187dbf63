"""Versions of edged to upgrade to: the same wheel with another number and, if wished, another end of its service."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CRASHES = '\n\ndef run(*_):\n    raise RuntimeError("broken on purpose")\n'
NEVER_READY = '\n\ndef run(*_):\n    import time\n    print("hangs on purpose", flush=True)\n    time.sleep(3600)\n'


def copy_of_source(directory):
    """What an installation needs of this tree, below a directory."""
    source = directory / "source"
    source.mkdir()
    kept = ["deploy", "systemd", "edged", "trainer", "README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"]
    done("cp", "-r", *(REPOSITORY / name for name in kept), source)
    return source


def wheels_of_this_tree(source, directory):
    """Every wheel of a source, as install.sh takes them from the network."""
    done(source / "deploy/install.sh", "--download", directory)
    return directory


def own_wheel(directory):
    """This source's own wheel alone; its path."""
    with tempfile.TemporaryDirectory() as copy:  # since setuptools leaves its own files in what it builds
        source = copy_of_source(Path(copy))
        done(sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--wheel-dir", directory, source)
    return next(directory.glob("edged-*.whl"))


def other_version(wheels, directory, version, service_end=""):
    """The same wheels with an edged of another version."""
    directory.mkdir()
    for wheel in wheels.glob("*.whl"):
        if wheel.name.startswith("edged-"):
            _repack(wheel, directory, version, service_end)
        else:
            os.link(wheel, directory / wheel.name) if _same_disk(wheel, directory) else shutil.copy(wheel, directory)
    return directory


def _same_disk(one, other):
    return one.stat().st_dev == other.stat().st_dev


def _repack(wheel, directory, version, service_end):
    number = wheel.name.split("-")[1]
    target = directory / wheel.name.replace(f"-{number}-", f"-{version}-")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename.endswith(("/METADATA", "edged/__init__.py")):
                data = data.replace(number.encode(), version.encode(), 1)
            if entry.filename == "edged/daemon.py":
                data += service_end.encode()
            if entry.filename.endswith("/RECORD"):  # pip goes by the names
                data = "".join(f"{line.split(',')[0]},,\n" for line in data.decode().splitlines()).encode()
                data = data.replace(f"-{number}.".encode(), f"-{version}.".encode())
            name = entry.filename.replace(f"edged-{number}.dist-info", f"edged-{version}.dist-info")
            new.writestr(zipfile.ZipInfo(name, entry.date_time), data, zipfile.ZIP_STORED)


def build_package(source, wheels, directory, *options):
    """The Debian package of these wheels, packed fast; its path."""
    done(source / "deploy/build-deb.sh", "--offline", wheels, "--out", directory, "--compression", "none", *options)
    return next(directory.glob("edged_*.deb"))


def other_package(package, directory, version, service_end=""):
    """The same package with an edged of another version; its path."""
    directory.mkdir()
    tree = directory / "tree"
    done("dpkg-deb", "--raw-extract", package, tree)
    release = next((tree / "opt/edged/releases").iterdir())
    number, digest = release.name.split("-")
    new = release.rename(release.with_name(f"{version}-{digest}"))
    for path in (tree / "DEBIAN/postinst", new / "bin/edged", new / "pyvenv.cfg"):
        path.write_text(path.read_text().replace(release.name, new.name))
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {number}-", f"Version: {version}-"))
    edged = next(new.glob("lib/python3.*/site-packages/edged"))
    (edged / "__init__.py").write_text((edged / "__init__.py").read_text().replace(number, version, 1))
    with (edged / "daemon.py").open("a") as service:
        service.write(service_end)
    done("sh", "-c", 'cd "$1" && find opt usr -type f -print0 | xargs -0 md5sum >DEBIAN/md5sums', "sums", tree)
    target = directory / f"edged_{version}.deb"
    done("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, target)
    shutil.rmtree(tree)
    return target


def done(*command):
    """A command that must succeed; what it prints."""
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
    return ended.stdout
