"""guarded.sh decides by what `edged doctor` and `edged events` say; here a stand-in says it."""

import os
import subprocess
from pathlib import Path

import pytest

GUARDED = Path(__file__).resolve().parents[2] / "deploy/guarded.sh"
# what it finds is in files of the device's directory; each call of the doctor takes the next verdict
EDGED = """#!/bin/sh
cd "$DEVICE"
echo "$*" >>calls
case $1 in
    doctor)
        verdict=$(head -n 1 verdicts)
        [ "$(wc -l <verdicts)" -le 1 ] || sed -i 1d verdicts
        [ "$verdict" = ok ] || { echo "ok     python: Python 3"; echo "wrong  $verdict"; exit 1; } ;;
    events) cat events || exit 1 ;;
esac
"""
ONSET = '{"kind":"onset","stream":"press-3","topic":"anomaly.press-3"}\n{"kind": "cleared"}\n'


@pytest.fixture
def device(tmp_path):
    (tmp_path / "bin").mkdir()
    for name, text in {"edged": EDGED, "systemctl": '#!/bin/sh\necho "systemctl $*" >>"$DEVICE/calls"\n'}.items():
        (tmp_path / "bin" / name).write_text(text, encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "verdicts").write_text("ok\n", encoding="utf-8")
    (tmp_path / "events").write_text("", encoding="utf-8")
    (tmp_path / "calls").write_text("", encoding="utf-8")
    (tmp_path / "setting").write_text("old", encoding="utf-8")
    return tmp_path


CHANGE = ("sh", "-c", 'printf new >"$DEVICE/setting"')


def guarded(device, *options, change=CHANGE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=False):
    """Changes the setting, watching for no longer than two looks."""
    command = [GUARDED, "--undo", 'printf old >"$DEVICE/setting"', "--minutes", "0", *options, "--", *change]
    environment = {"PATH": f"{device}/bin:{os.environ['PATH']}", "DEVICE": str(device)}
    return subprocess.run(
        command, env=environment, stdout=stdout, stderr=stderr, start_new_session=start_new_session, text=True,
        check=False, timeout=30,
    )  # fmt: skip


def setting(device):
    return (device / "setting").read_text(encoding="utf-8")


def calls(device):
    return (device / "calls").read_text(encoding="utf-8").splitlines()


def test_a_change_that_does_well_stays(device):
    done = guarded(device)
    assert (done.returncode, setting(device)) == (0, "new")
    assert "systemctl" not in " ".join(calls(device))


def test_one_that_makes_the_device_ill_is_undone(device):
    (device / "verdicts").write_text("ok\nreferences: of another network\n", encoding="utf-8")
    done = guarded(device)
    assert (done.returncode, setting(device)) == (1, "old")
    assert "of another network" in done.stderr
    assert "python" not in done.stderr


def test_a_doctor_that_says_nothing_does_not_find_all_well(device):
    """Killed, or gone with the change: what it did not say was taken for no trouble, and the change stayed."""
    script = '#!/bin/sh\n[ "$(cat "$DEVICE/setting")" = old ]\n'
    (device / "bin/edged").write_text(script, encoding="utf-8")
    done = guarded(device)
    assert (done.returncode, setting(device)) == (1, "old")
    assert "edged doctor failed" in done.stderr


@pytest.mark.parametrize("is_hung_up", [False, True])
def test_it_is_undone_also_where_nobody_listens_any_more(device, is_hung_up):
    """A connection that was lost ended the watch, or the undo at its first message; the change stayed."""
    (device / "verdicts").write_text("ok\nill\n", encoding="utf-8")
    if is_hung_up:
        hang_up = EDGED.replace("case", '[ "$(cat setting)" = old ] || kill -HUP 0\ncase', 1)
        (device / "bin/edged").write_text(hang_up, encoding="utf-8")
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = guarded(device, stdout=write_end, stderr=write_end, start_new_session=True)
    os.close(write_end)
    assert (done.returncode, setting(device)) == (1, "old")


def test_it_is_watched_and_not_only_looked_at_once(device):
    (device / "verdicts").write_text("ok\nok\nok\nmicrophone is gone\n", encoding="utf-8")
    done = guarded(device, "--minutes", "1", "--every", "0")
    assert (done.returncode, setting(device)) == (1, "old")


@pytest.mark.parametrize(("onsets", "acceptable", "code"), [(1, 0, 1), (2, 2, 0), (3, 2, 1)])
def test_more_alarms_than_acceptable_undo_it(device, onsets, acceptable, code):
    (device / "events").write_text(ONSET * onsets, encoding="utf-8")
    done = guarded(device, "--alarms", str(acceptable))
    assert (done.returncode, setting(device)) == (code, "old" if code else "new")
    (asked,) = {call for call in calls(device) if call.startswith("events")}
    assert "--since 20" in asked  # what was before does not count
    assert "--topic anomaly." in asked


def test_alarms_that_cannot_be_counted_are_not_none(device):
    (device / "events").unlink()
    done = guarded(device)
    assert (done.returncode, setting(device)) == (1, "old")
    assert "cannot be counted" in done.stderr


@pytest.mark.parametrize("name", ["INT", "TERM"])
def test_a_watch_that_is_interrupted_undoes_it(device, name):
    """As Ctrl-C does, to everything in the foreground; it left the change unwatched."""
    interrupted = EDGED.replace("case", f'[ "$(cat setting)" = old ] || kill -{name} 0\ncase', 1)
    (device / "bin/edged").write_text(interrupted, encoding="utf-8")
    done = guarded(device, "--minutes", "1", "--every", "10", start_new_session=True)
    assert (done.returncode, setting(device)) == (1, "old")
    assert "interrupted" in done.stderr


def test_the_service_is_restarted_with_the_change_and_with_the_undo(device):
    (device / "verdicts").write_text("ok\nill\n", encoding="utf-8")
    assert guarded(device, "--restart").returncode == 1
    assert [call for call in calls(device) if "systemctl" in call] == ["systemctl restart edged"] * 2


def test_a_service_that_does_not_start_anew_undoes_it(device):
    script = '#!/bin/sh\n[ "$(cat "$DEVICE/setting")" = old ]\n'
    (device / "bin/systemctl").write_text(script, encoding="utf-8")
    done = guarded(device, "--restart")
    assert (done.returncode, setting(device)) == (1, "old")
    assert "does not start" in done.stderr


def test_an_ill_device_is_not_changed(device):
    (device / "verdicts").write_text("disk is full\n", encoding="utf-8")
    done = guarded(device)
    assert (done.returncode, setting(device)) == (3, "old")
    assert "disk is full" in done.stderr


def test_a_change_that_fails_is_not_undone(device):
    """What it did not do must not be taken back: a roll-back would lose the version before."""
    (device / "setting").write_text("as it was", encoding="utf-8")
    done = guarded(device, change=("false",))
    assert (done.returncode, setting(device)) == (3, "as it was")


@pytest.mark.parametrize("arguments", [(), ("--undo", "true"), ("--undo", "true", "--minutes", "ten", "--", "true"),
                                       ("--undo", "true", "--minutes", "08", "--", "true"),
                                       ("--frobnicate",), ("--", "true")])  # fmt: skip
def test_wrong_use_changes_nothing(arguments):
    done = subprocess.run([GUARDED, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Usage" in done.stderr
