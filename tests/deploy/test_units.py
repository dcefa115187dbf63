"""systemd's own judgement of the units, and what can be known of the scripts without installing anything."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
UNITS = REPOSITORY / "systemd"
SCRIPTS = [
    *sorted((REPOSITORY / "deploy").glob("*.sh")),
    *(REPOSITORY / "deploy/debian" / name for name in ("preinst", "postinst", "prerm", "postrm")),
]
EXPOSURE_AT_MOST = 2.0

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is missing")


def run(*command, **options):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=120, **options)


@pytest.fixture(params=["edged", "edged-compile", "edged-mqtt"])
def unit(request, tmp_path):
    """A unit, with a command that is here, as systemd wants to see it."""
    text = (UNITS / f"{request.param}.service").read_text(encoding="utf-8")
    assert "/opt/edged/current/bin/edged" in text
    path = tmp_path / f"{request.param}.service"
    path.write_text(text.replace("/opt/edged/current/bin/edged", "/bin/true"), encoding="utf-8")
    return path


@needs_systemd
def test_the_unit_is_clean(unit):
    done = run("systemd-analyze", "verify", "--man=no", unit)
    # systemd 252 finds a fault with units of Debian's own; only ours count
    assert [line for line in done.stderr.splitlines() if "edged" in line] == []


@needs_systemd
def test_the_unit_is_hardly_exposed(unit):
    done = run("systemd-analyze", "security", "--offline=true", unit)
    exposure = re.search(rf"Overall exposure level for {unit.name}: ([0-9.]+)", done.stdout)
    assert exposure, done.stderr
    assert float(exposure[1]) <= EXPOSURE_AT_MOST


def test_the_daemon_never_waits_for_engines():
    text = (UNITS / "edged.service").read_text(encoding="utf-8")
    (wants,) = re.findall(r"^Wants=.*edged-compile.service", text, re.MULTILINE)
    assert wants
    for key in ("After", "Requires", "BindsTo", "Requisite"):
        assert not re.search(rf"^{key}=.*edged-compile", text, re.MULTILINE)
    own = (UNITS / "edged-compile.service").read_text(encoding="utf-8")
    assert "Type=exec" in own
    assert not re.search(r"^Before=", own, re.MULTILINE)


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="systemd-sysusers is missing")
def test_users_and_directories_are_made_in_an_empty_root(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can make users")
    (tmp_path / "etc").mkdir()
    users = run("systemd-sysusers", f"--root={tmp_path}", UNITS / "edged.sysusers")
    assert users.returncode == 0, users.stderr
    groups = (tmp_path / "etc/group").read_text(encoding="utf-8")
    members = {line.split(":")[0]: line.split(":")[3] for line in groups.splitlines()}
    assert {name: members[name] for name in ("audio", "video", "render")} == dict.fromkeys(
        ("audio", "video", "render"), "edged"
    )
    made = run("systemd-tmpfiles", "--create", f"--root={tmp_path}", UNITS / "edged.tmpfiles")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "var/lib/edged").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "etc/edged").stat().st_mode & 0o777 == 0o750


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is missing (apt install shellcheck)")
def test_the_scripts_are_clean():
    done = run("shellcheck", "--external-sources", *SCRIPTS, cwd=REPOSITORY)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", ["install.sh", "build-deb.sh", "activate.sh"])
def test_help_has_an_example_and_wrong_use_is_told(script):
    told = run(REPOSITORY / "deploy" / script, "--help")
    assert told.returncode == 0
    assert "Example" in told.stdout
    refused = run(REPOSITORY / "deploy" / script, "--frobnicate")
    assert refused.returncode == 2
    assert "Usage" in refused.stderr


@pytest.mark.skipif(Path("/opt/edged").exists(), reason="edged is installed here")
@pytest.mark.parametrize("options", [(), ("--uninstall",), ("--uninstall", "--purge")])
def test_a_dry_run_says_what_it_would_do_and_does_nothing(options):
    done = run(REPOSITORY / "deploy/install.sh", *options, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "/opt/edged" in done.stderr
    assert ("/var/lib/edged" in done.stderr) == ("--purge" in options)
    assert not Path("/opt/edged").exists()


def test_purge_without_uninstall_is_refused():
    done = run(REPOSITORY / "deploy/install.sh", "--purge")
    assert done.returncode == 2


def test_only_root_installs():
    if os.geteuid() == 0:
        unprivileged = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if run(*unprivileged, "cat", REPOSITORY / "deploy/install.sh").returncode != 0:
            pytest.skip("nobody cannot read this tree")
    else:
        unprivileged = []
    done = run(*unprivileged, REPOSITORY / "deploy/install.sh", "--uninstall")
    assert done.returncode == 1
    assert "fix: sudo" in done.stderr


@pytest.mark.parametrize(("extras", "code"), [(("microphone", "mqtt", "train"), 0), (("microphone",), 1), ((), 1)])
def test_an_old_wheel_beside_a_newer_source_is_noticed(tmp_path, extras, code):
    """pip only warned, and the release had the bridge's unit without what the bridge needs."""
    facts = tmp_path / "edged-0.0.1.dist-info" / "METADATA"
    facts.parent.mkdir()
    lines = ["Metadata-Version: 2.1", "Name: edged", "Version: 0.0.1", *(f"Provides-Extra: {name}" for name in extras)]
    facts.write_text("\n".join(lines) + "\n", encoding="utf-8")
    script = f". {REPOSITORY}/deploy/environment.sh; . {REPOSITORY}/deploy/release.sh; has_extras {tmp_path}"
    done = run("bash", "-uc", script)
    assert (done.returncode, done.stderr) == (code, "")


def test_a_python_that_the_service_cannot_reach_is_refused(tmp_path):
    """A user's own Python lies behind ProtectHome= and PrivateTmp=."""
    home = tmp_path / "python3"
    home.write_text(f'#!/bin/sh\nexec {shutil.which("python3")} "$@"\n', encoding="utf-8")
    home.chmod(0o755)
    script = f". {REPOSITORY}/deploy/environment.sh; . {REPOSITORY}/deploy/release.sh; find_system_python"
    done = run("bash", "-euc", script, env={**os.environ, "PYTHON": str(home)})
    reached = run("python3", "-c", "import os, sys; print(os.path.realpath(sys.executable))").stdout
    if not reached.startswith(("/root", "/home", "/tmp")):
        pytest.skip("the Python here is the system's")
    assert done.returncode == 1
    assert "PYTHON=/usr/bin/python3" in done.stderr
