"""What activate.sh and install.sh do when a release does not become ready, beside a systemd that is none."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PLACES = ("/opt/edged", "/usr/local/lib", "/usr/local/bin", "/etc/edged", "/run/systemd/system")
# answers as the files `state` and `ready` say; whatever is asked is noted
SYSTEMCTL = """#!/bin/sh
echo "$*" >>calls
case $* in
    *ActiveState*) cat state ;;
    *StatusText*) cat told; if test "$(cat lives)" = many; then wc -l <calls; fi ;;
    restart*) test "$(cat ready)" = "$(readlink opt/edged/current)" ;;
    is-active*) test "$(cat state)" = active ;;
esac
"""


class Host:
    """A directory in which the scripts find everything they touch."""

    def __init__(self, root):
        self.root = root
        for place in ("bin", "opt/edged/releases", "usr/local/bin", "run/systemd/system", "source/deploy"):
            (root / place).mkdir(parents=True)
        for script in ("activate.sh", "install.sh", "environment.sh", "release.sh"):
            text = (REPOSITORY / "deploy" / script).read_text(encoding="utf-8")
            for place in PLACES:
                text = text.replace(place, f"{root}{place}")
            self._program(f"source/deploy/{script}", text)
        for name in ("journalctl", "sleep", "systemd-sysusers", "systemd-tmpfiles", "dpkg-query"):
            self._program(f"bin/{name}", "#!/bin/sh\n")
        self._program("bin/id", "#!/bin/sh\necho 0\n")
        self._program("bin/setpriv", '#!/bin/sh\nshift 3\nexec "$@"\n')
        self._program("bin/systemctl", SYSTEMCTL)

    def _program(self, path, text):
        (self.root / path).write_text(text, encoding="utf-8")
        (self.root / path).chmod(0o755)

    def release(self, name, *, seconds):
        """A release that was made at a time."""
        place = self.root / "opt/edged/releases" / name
        for directory in ("bin", "libexec", "share/units/systemd/system"):
            (place / directory).mkdir(parents=True)
        self._program(place / "bin/edged", "#!/bin/sh\n")
        shutil.copy(self.root / "source/deploy/activate.sh", place / "libexec/activate")
        (place / "share/units/systemd/system/edged.service").write_text(name, encoding="utf-8")
        os.utime(place, (seconds, seconds))

    def set(self, *, current=None, state="active", ready="", told="2 streams", lives="one"):
        """Which release is the current one, what systemd says of the service, which one would become ready.

        And what the service tells of itself, and whether it begins anew again and again.
        """
        if current:
            (self.root / "opt/edged/current").symlink_to(f"releases/{current}")
        (self.root / "state").write_text(state)
        (self.root / "ready").write_text(f"releases/{ready}")
        (self.root / "told").write_text(told)
        (self.root / "lives").write_text(lives)

    def run(self, script, *arguments):
        environment = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        command = [self.root / "source/deploy" / script, *arguments]
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    @property
    def current(self):
        return (self.root / "opt/edged/current").readlink().name

    @property
    def unit(self):
        return (self.root / "usr/local/lib/systemd/system/edged.service").read_text(encoding="utf-8")

    @property
    def calls(self):
        return (self.root / "calls").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_a_release_that_does_not_become_ready_gives_way_to_the_one_before(host):
    host.release("1-a", seconds=1)
    host.release("2-b", seconds=2)
    host.set(current="1-a", ready="1-a")
    done = host.run("activate.sh", "2-b")
    assert done.returncode == 1
    assert "1-a is put back and runs" in done.stderr
    assert (host.current, host.unit) == ("1-a", "1-a")
    assert not list(host.root.rglob("*.new"))


@pytest.mark.parametrize("how", [{"told": "safe mode: nothing is listened to"}, {"lives": "many"}])
def test_a_release_that_crashes_once_it_is_ready_is_none(host, how):
    """A daemon whose thread dies goes on as the same process, and ends in a safe mode that is ready to systemd."""
    host.release("1-a", seconds=1)
    host.release("2-b", seconds=2)
    host.set(current="1-a", ready="2-b", **how)
    done = host.run("activate.sh", "2-b")
    assert done.returncode == 1
    assert host.current == "1-a"


def test_engines_of_the_release_before_are_not_built_on(host):
    """A build went on over an upgrade, so that the new networks got no engine until the next start."""
    host.release("1-a", seconds=1)
    host.release("2-b", seconds=2)
    host.set(current="1-a", ready="2-b")
    assert host.run("activate.sh", "2-b").returncode == 0
    assert host.calls.index("stop edged-compile.service") < host.calls.index("restart edged.service")


def test_a_service_that_systemd_keeps_trying_is_tried_on(host):
    """Installing the same version again while the service waited for its next start stopped it for good."""
    host.release("1-a", seconds=1)
    host.set(current="1-a", state="activating")
    assert host.run("activate.sh", "1-a").returncode == 1
    assert "stop edged.service" not in host.calls


def test_a_first_release_that_does_not_become_ready_is_not_tried_for_ever(host):
    host.release("1-a", seconds=1)
    host.set(state="inactive")
    assert host.run("activate.sh", "--start", "1-a").returncode == 1
    assert "stop edged.service" in host.calls


def test_a_roll_back_that_fails_keeps_the_release_to_go_back_to(host):
    """It was deleted, so that nothing was left to go back to once what was wrong was mended."""
    host.release("1-a", seconds=1)
    host.release("2-b", seconds=2)
    host.set(current="2-b", ready="2-b")
    done = host.run("install.sh", "--rollback")
    assert done.returncode == 1, done.stderr
    assert host.current == "2-b"
    assert (host.root / "opt/edged/releases/1-a/bin/edged").is_file()


def test_a_roll_back_leaves_both_releases(host):
    host.release("1-a", seconds=1)
    host.release("2-b", seconds=2)
    host.set(current="2-b", ready="1-a")
    done = host.run("install.sh", "--rollback")
    assert done.returncode == 0, done.stderr
    assert (host.current, host.unit) == ("1-a", "1-a")
    assert len(list((host.root / "opt/edged/releases").iterdir())) == 2


def test_going_back_takes_along_what_only_the_newer_release_has(host):
    """Its units stayed, and went on being started beside an edged that knows nothing of them."""
    host.release("1-a", seconds=1)
    host.release("2-b", seconds=2)
    newer = host.root / "opt/edged/releases/2-b/share/units/systemd/system"
    (newer / "edged-new.service").write_text("new")
    (newer / "edged.service.d").mkdir()
    (newer / "edged.service.d/new.conf").write_text("new")
    installed = host.root / "usr/local/lib/systemd/system"
    installed.mkdir(parents=True)
    (installed / "other.service").write_text("somebody else's")
    host.set(current="1-a", ready="2-b")
    assert host.run("activate.sh", "2-b").returncode == 0
    assert (installed / "edged-new.service").is_file()
    (host.root / "ready").write_text("releases/1-a")
    assert host.run("install.sh", "--rollback").returncode == 0
    assert sorted(path.name for path in installed.iterdir()) == ["edged.service", "other.service"]
    assert "disable --now --quiet edged-new.service" in host.calls


def test_the_first_release_becomes_the_current_one_whatever_the_order_of_letters(host, monkeypatch):
    """In English `-` is not before `/`: the files were "not in sorted order", and nothing could be installed."""
    made = subprocess.run(
        ["localedef", "-i", "en_US", "-f", "UTF-8", host.root / "en_US.UTF-8"], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("no sources of locales (apt install locales)")
    monkeypatch.setenv("LOCPATH", str(host.root))
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    host.release("1-a", seconds=1)
    units = host.root / "opt/edged/releases/1-a/share/units/systemd"
    (units / "system-preset").mkdir()
    (units / "system-preset/50-edged.preset").write_text("enable edged.service")
    host.set(state="inactive")
    done = host.run("activate.sh", "1-a")
    assert (done.returncode, "sorted" in done.stderr) == (0, False), done.stderr
    assert host.current == "1-a"


def test_units_are_laid_out_where_no_systemd_is(tmp_path):
    """As where packages are built: it ended with "integer expression expected", and took systemd for a new one."""
    script = f'. "{REPOSITORY}/deploy/release.sh"; install_units "{REPOSITORY}/systemd" "{tmp_path}/out"'
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "install", "sed"):
        (programs / name).symlink_to(shutil.which(name))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out/systemd/system/edged.service").is_file()
    assert not (tmp_path / "out/systemd/system/edged.service.d").exists()


def test_packages_that_cannot_be_compiled_are_told_of(host):
    """The installation ended without a word."""
    text = (REPOSITORY / "deploy/install.sh").read_text(encoding="utf-8")
    line = text[text.index('"$stage/bin/python" -m compileall') :].split("\n        mv ")[0]
    script = f'. "{REPOSITORY}/deploy/environment.sh"; stage={host.root} ROOT=/opt/edged name=x; {line}'
    host._program("bin/python", "#!/bin/sh\necho a.py >&2; exit 1\n")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "could not be compiled" in done.stderr
