"""Long work shows how far it is: on a terminal, and nowhere else."""

import os
import subprocess
import sys

import pytest
import soundfile as sf

from tests.fakes.sounds import RATE_HZ, machine


@pytest.fixture
def command(tmp_path):
    (tmp_path / "clips").mkdir()
    for seed in range(3):
        sf.write(tmp_path / "clips" / f"{seed}.wav", machine(3, seed), RATE_HZ)
    edged = [sys.executable, "-m", "edged.cli.main", "enroll", "--clips", str(tmp_path / "clips"), "--stream", "a"]
    return [*edged, "--state", str(tmp_path / "state"), "--dry-run", "--force"]


def test_reading_clips_shows_its_progress_on_a_terminal(command):
    # thousands of clips were read for minutes without a sign of life; only embedding them had a bar
    ours, theirs = os.openpty()
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL, env=os.environ | {"TERM": "xterm"}) as run:
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert run.returncode == 0
    for words in (b"reading", b"enrolling", b"3/3"):
        assert words in shown


def _read(descriptor):
    try:
        return os.read(descriptor, 4096)
    except OSError:  # how a terminal says that its other end is closed
        return b""


def test_a_pipe_gets_no_bars(command):
    done = subprocess.run(command, capture_output=True, check=True)
    assert b"reading" not in done.stderr + done.stdout
