"""`edged demo` as a person runs it: it ends well, in good order, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

DEMO = [sys.executable, "-m", "edged.cli.main", "demo"]


def leftovers(directory):
    """Processes that work in a directory, and what of ours lies there."""
    at_work = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if str(directory) in str(p.info["cmdline"])]
    return at_work, list(directory.glob("edged-*"))


@pytest.fixture
def environment(tmp_path):
    (tmp_path / "tmp").mkdir()
    return {**os.environ, "TMPDIR": str(tmp_path / "tmp")}


def test_everything_it_announces_happens(environment, tmp_path):
    run = subprocess.run(
        [*DEMO, "--json", "--speed", "15"], env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    report = json.loads(run.stdout)
    assert [row for row in report["rows"] if not row["good"]] == []
    assert run.returncode == 0
    assert leftovers(tmp_path / "tmp") == ([], [])


def test_an_interrupt_leaves_no_process_and_no_file(environment, tmp_path):
    demo = subprocess.Popen([*DEMO, "--plain"], env=environment, stdout=subprocess.PIPE, text=True)
    for line in demo.stdout:
        if "Normal operation" in line:
            break
    demo.send_signal(signal.SIGTERM)
    demo.communicate(timeout=30)
    assert demo.returncode == 130
    assert leftovers(tmp_path / "tmp") == ([], [])


def test_a_directory_in_use_is_not_overwritten(environment, tmp_path):
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep" / "mine").write_text("")
    keep = [*DEMO, "--keep", str(tmp_path / "keep")]
    run = subprocess.run(keep, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "not empty; name a new directory" in run.stderr
