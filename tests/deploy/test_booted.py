"""What systemd does with edged, on a booted machine: installed from the Debian package, and by install.sh.

Takes minutes, and root: EDGED_BOOT_TEST=1 .venv-test/bin/python -m pytest tests/deploy/test_booted.py
"""

import filecmp

import pytest

from tests.deploy.installed import (
    COMPILE,
    CONFIG,
    CONFIG_FILE,
    STATE,
    bank_of,
    hears_and_scores,
    processes,
    runs_anew,
    set_up,
    status,
)  # fmt: skip
from tests.deploy.machine import booted, why_not
from tests.deploy.wheels import (
    CRASHES,
    NEVER_READY,
    build_package,
    other_package,
    other_version,
)  # fmt: skip

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=f"no booted machine: {why_not()}"),
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("booted"),
]


# -- the package -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packages(tmp_path_factory, source, wheels):
    directory = tmp_path_factory.mktemp("packages")
    built = {"now": build_package(source, wheels, directory / "now")}
    for version, end in {"0.1.1": CRASHES, "0.1.2": ""}.items():
        built[version] = other_package(built["now"], directory / version, version, end)
    return directory, {name: f"/shared/{directory.name}/{path.parent.name}/{path.name}" for name, path in built.items()}


@pytest.fixture(scope="module")
def packaged(packages, sounds):
    """A machine with the package, configured and running."""
    directory, paths = packages
    with booted(directory, sounds) as machine:
        told = machine.call("dpkg", "--install", paths["now"])
        assert "write /etc/edged/edged.yaml" in told  # and nothing was enabled without it
        assert machine.run("systemctl", "is-enabled", "edged").stdout.strip() == "disabled"
        assert processes(machine) == []
        set_up(machine, sounds)
        machine.call("systemctl", "enable", "--now", "edged")
        yield machine


def test_the_same_wheels_give_the_same_package(packages, source, wheels, tmp_path):
    directory, _ = packages
    again = build_package(source, wheels, tmp_path)
    assert filecmp.cmp(again, directory / "now" / again.name, shallow=False)


def test_active_means_ready(packaged):
    assert packaged.property("ActiveState") == "active"
    assert packaged.property("Type") == "notify"
    assert "1 streams" in packaged.property("StatusText")
    assert status(packaged)["devices"]["hall"]["state"] == "running"
    assert len(processes(packaged)) == 2  # the daemon and its capture child
    assert hears_and_scores(packaged)


def test_the_daemon_runs_confined_and_as_its_own_user(packaged):
    pid = packaged.property("MainPID")
    facts = dict(
        line.split(":\t", 1) for line in packaged.call("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line
    )
    edged = packaged.call("id", "-u", "edged")
    assert facts["Uid"].split() == [edged] * 4
    assert (facts["NoNewPrivs"], facts["Seccomp"], int(facts["CapBnd"], 16)) == ("1", "2", 0)
    groups = packaged.call("getent", "group", "audio", "video", "render")
    assert {line.split(":")[2] for line in groups.splitlines()} <= set(facts["Groups"].split())
    touched = packaged.run(
        "nsenter", "--target", pid, "--mount", "--", "touch", "/opt/edged/x", "/etc/edged/x", "/usr/x"
    )
    assert touched.stderr.count("Read-only file system") >= 2


def test_what_root_enrolled_belongs_to_the_daemon(packaged):
    owners = packaged.call("sh", "-c", f"stat --format=%U {STATE}/edged.db*").split()
    assert set(owners) == {"edged"}


def test_a_reload_takes_a_changed_setting_and_refuses_a_broken_file(packaged):
    pid = packaged.property("MainPID")
    packaged.write(CONFIG_FILE, CONFIG.replace("[anomaly, keyword]", "{anomaly: {threshold: 7.5}, keyword: {}}"))
    packaged.call("systemctl", "reload", "edged")
    packaged.wait_until(lambda: status(packaged)["streams"]["press-3"]["threshold"]["threshold"] == 7.5)

    packaged.write(CONFIG_FILE, "streams: 7\n")
    refused = packaged.run("systemctl", "reload", "edged")
    assert refused.returncode != 0
    assert "streams" in packaged.journal()
    assert packaged.property("MainPID") == pid
    packaged.write(CONFIG_FILE, CONFIG)
    assert hears_and_scores(packaged)
    packaged.call("systemctl", "reload", "edged")


def test_a_configuration_that_cannot_be_used_is_not_tried_again(packaged):
    packaged.write(CONFIG_FILE, "streams: 7\n")
    assert packaged.run("systemctl", "restart", "edged").returncode != 0
    assert packaged.property("ActiveState") == "failed"
    assert packaged.property("ExecMainStatus") == "78"
    packaged.write(CONFIG_FILE, CONFIG)
    packaged.call("systemctl", "restart", "edged")


def test_without_a_gpu_nothing_is_compiled(packaged):
    wanted = packaged.call("systemctl", "list-dependencies", "--plain", "edged.service")
    assert "edged-compile.service" in wanted
    assert packaged.property("ConditionResult", COMPILE) == "no"
    assert packaged.property("ActiveState", COMPILE) == "inactive"
    assert hears_and_scores(packaged)


def test_a_gpu_without_tensorrt_is_said_and_does_no_harm(packaged):
    packaged.call("touch", "/dev/nvidia0")  # all that the condition asks for
    packaged.call("systemctl", "restart", "edged")
    # it has the least of the processor where that is busy
    packaged.wait_until(lambda: packaged.property("ActiveState", COMPILE) == "inactive", timeout_s=600.0)
    assert packaged.property("ConditionResult", COMPILE) == "yes"
    assert (packaged.property("Result", COMPILE), packaged.property("ExecMainStatus", COMPILE)) == ("success", "0")
    assert "nothing to do: TensorRT cannot be loaded" in packaged.journal(COMPILE)
    assert hears_and_scores(packaged)
    assert {one["runs_on"] for one in status(packaged)["backends"].values()} == {"CPUExecutionProvider"}
    assert packaged.call("systemctl", "list-units", "--failed", "--quiet", "--plain", "edged*") == ""
    packaged.call("rm", "/dev/nvidia0")


def test_a_hung_daemon_is_killed_and_started_again(packaged):
    pid = packaged.property("MainPID")
    packaged.call("systemctl", "kill", "--kill-whom=main", "--signal=SIGSTOP", "edged")
    packaged.wait_until(lambda: runs_anew(packaged, pid))
    journal = packaged.journal()
    assert "Watchdog timeout" in journal
    assert "in _serve" in journal  # where it hung
    assert hears_and_scores(packaged)


def test_a_killed_daemon_is_started_again(packaged):
    pid = packaged.property("MainPID")
    packaged.call("systemctl", "kill", "--kill-whom=main", "--signal=SIGKILL", "edged")
    packaged.wait_until(lambda: runs_anew(packaged, pid))


def test_an_upgrade_does_not_touch_what_runs_on_a_configuration_that_would_not_start(packaged, packages):
    _, paths = packages
    pid, before = packaged.property("MainPID"), packaged.call("readlink", "/opt/edged/current")
    packaged.write(CONFIG_FILE, "streams: 7\n")
    done = packaged.run("dpkg", "--install", paths["0.1.2"])
    packaged.write(CONFIG_FILE, CONFIG)
    assert done.returncode != 0
    assert f"cannot use {CONFIG_FILE}" in done.stderr
    assert packaged.property("MainPID") == pid
    assert packaged.call("readlink", "/opt/edged/current") == before
    packaged.call("dpkg", "--install", paths["now"])
    assert packaged.property("MainPID") == pid


def test_an_upgrade_that_does_not_become_ready_is_rolled_back(packaged, packages):
    _, paths = packages
    before, bank = packaged.call("readlink", "/opt/edged/current"), bank_of(packaged)
    done = packaged.run("dpkg", "--install", paths["0.1.1"])
    assert done.returncode != 0
    assert "is put back and runs" in done.stderr
    assert "Traceback" in done.stderr, done.stderr
    assert "broken on purpose" in packaged.journal()
    assert packaged.call("readlink", "/opt/edged/current") == before
    assert packaged.property("ActiveState") == "active"
    assert hears_and_scores(packaged)
    assert bank_of(packaged) == bank


def test_a_good_upgrade_after_that_runs_and_leaves_one_release(packaged, packages):
    _, paths = packages
    bank = bank_of(packaged)
    packaged.call("dpkg", "--install", paths["0.1.2"])
    assert status(packaged)["version"] == "0.1.2"
    assert len(packaged.call("ls", "-A", "/opt/edged/releases").split()) == 1
    assert packaged.call("dpkg", "--verify", "edged") == ""
    assert bank_of(packaged) == bank


def test_removal_leaves_no_process_and_keeps_state_until_the_purge(packaged):
    packaged.call("dpkg", "--remove", "edged")
    assert processes(packaged) == []
    assert packaged.run("ls", "/opt/edged").returncode != 0
    packaged.call("ls", CONFIG_FILE, f"{STATE}/edged.db")
    assert packaged.run("systemctl", "status", "edged").returncode == 4  # no such unit
    packaged.call("dpkg", "--purge", "edged")
    assert packaged.run("ls", STATE).returncode != 0


# -- install.sh --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory, source, wheels, sounds):
    """A machine with what install.sh needs, and edged installed by it, configured and running."""
    directory = tmp_path_factory.mktemp("versions")
    for version, end in {"0.1.0": "", "0.1.1": NEVER_READY, "0.1.2": ""}.items():
        other_version(wheels, directory / version, version, end)
    with booted(directory, source, sounds) as machine:
        machine.shared, machine.script = f"/shared/{directory.name}", f"/shared/{source.name}/deploy/install.sh"
        done = install(machine, "0.1.0")
        assert "write /etc/edged/edged.yaml" in done.stderr
        set_up(machine, sounds)
        machine.call("systemctl", "enable", "--now", "edged")
        yield machine


def install(machine, version, *options):
    return machine.run(machine.script, "--offline", f"{machine.shared}/{version}", *options)


def test_installing_again_changes_nothing(installed):
    listing = ("ls", "-l", "--time-style=full-iso", "/opt/edged/releases")
    pid, before = installed.property("MainPID"), installed.call(*listing)
    done = install(installed, "0.1.0")
    assert done.returncode == 0, done.stderr
    assert "is there already" in done.stderr
    assert installed.property("MainPID") == pid
    assert installed.call(*listing) == before


def test_install_sh_goes_back_from_a_version_that_hangs(installed):
    done = install(installed, "0.1.1")
    assert done.returncode == 1
    assert "is put back and runs" in done.stderr
    assert status(installed)["version"] == "0.1.0"
    assert len(installed.call("ls", "-A", "/opt/edged/releases").split()) == 1


def test_install_sh_upgrades_and_goes_back_when_told(installed):
    bank = bank_of(installed)
    assert install(installed, "0.1.2").returncode == 0
    assert status(installed)["version"] == "0.1.2"
    installed.call(installed.script, "--rollback")
    assert status(installed)["version"] == "0.1.0"
    assert bank_of(installed) == bank


def test_uninstalling_leaves_no_process_and_keeps_state(installed):
    script = installed.script
    for _ in range(2):  # the second time there is nothing to do
        installed.call(script, "--uninstall")
        assert processes(installed) == []
    left = installed.call(
        "sh", "-c", "find / -xdev -name '*edged*' -not -path '/proc/*' -not -path '/shared/*' 2>/dev/null"
    )
    assert set(left.splitlines()) <= {
        "/etc/edged", CONFIG_FILE, STATE, f"{STATE}/edged.db", f"{STATE}/edged.lock", f"{STATE}/edged.reserve",
        "/var/log/edged", "/etc/systemd/system/edged.service.d",
    }  # fmt: skip
    installed.call("ls", CONFIG_FILE, f"{STATE}/edged.db")
    installed.call(script, "--uninstall", "--purge")
    assert installed.run("ls", STATE).returncode != 0
