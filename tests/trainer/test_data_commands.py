"""`edged-train check` and `edged-train plant`: what they print, and their exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import typer
from typer.testing import CliRunner

from edged.errors import AudioError, UsageError
from trainer.commands.check import check
from trainer.commands.plant import plant

APP = typer.Typer()
APP.command()(check)
APP.command()(plant)
RUNNER = CliRunner()


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Two machines in a plain folder, normal clips alone."""
    rng = np.random.default_rng(0)
    root = tmp_path / "hall"
    for machine in ("fan", "pump"):
        for number in range(2):
            path = root / machine / "normal" / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sf.write(path, 0.1 * rng.standard_normal(32_000), 16_000)
    return root


def test_people_get_tables(recordings: Path) -> None:
    run = RUNNER.invoke(APP, ["check", str(recordings)])
    assert run.exit_code == 0
    assert "4 recordings, 0.0 h, 2 classes; 4 x 16000 Hz, 1 channel" in run.stdout
    assert "there are no test clips" in run.stdout
    assert run.stderr == ""


def test_programs_get_json_and_an_exit_code(recordings: Path) -> None:
    broken = recordings / "fan" / "normal" / "[red]broken.wav"
    broken.write_bytes(b"RIFF")
    run = RUNNER.invoke(APP, ["check", str(recordings), "--json"])
    assert run.exit_code == 1
    report = json.loads(run.stdout)
    assert [(f["severity"], f["code"]) for f in report["findings"]] == [("error", "unreadable"), ("note", "no-test")]
    assert report["findings"][0]["paths"] == [str(broken)]


def test_names_are_no_markup(recordings: Path) -> None:
    for number in range(5):
        (recordings / "fan" / "normal" / f"[red]{number}.wav").write_bytes(b"RIFF")
    run = RUNNER.invoke(APP, ["check", str(recordings)])
    assert run.exit_code == 1
    assert "fan/normal/[red]2.wav" in run.stdout
    assert "[red]3.wav" not in run.stdout
    assert "and 2 more" in run.stdout


def test_nothing_to_check() -> None:
    run = RUNNER.invoke(APP, ["check", "absent"])
    assert isinstance(run.exception, AudioError)


def test_a_plant_is_made_once(tmp_path: Path) -> None:
    words = ["plant", "--out", str(tmp_path / "plant"), "--machines", "1", "--clips", "3", "--test", "4"]
    words += ["--duration-s", "1", "--flac", "--workers", "1"]
    first, second, other = (RUNNER.invoke(APP, [*words, *more]) for more in ([], [], ["--seed", "1"]))
    assert first.exit_code == 0, first.output
    assert "7 clips written" in first.stderr
    assert "0 clips written" in second.stderr
    assert isinstance(other.exception, UsageError)
    assert len(list((tmp_path / "plant" / "rotating0").rglob("*.flac"))) == 7


def test_a_name_that_is_no_text_is_told_all_the_same(tmp_path: Path) -> None:
    """A terminal in UTF-8 ended `check` with a traceback for a file of an older system."""
    name = os.fsdecode(b"caf\xe9.wav")
    sf.write(os.fsencode(tmp_path / name), np.zeros(16_000, np.float32), 16_000, format="WAV")
    command = [sys.executable, "-m", "trainer.cli", "check", str(tmp_path)]
    for more in ([], ["--json"]):
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run([*command, *more], check=False, capture_output=True, env=environment)
        assert b"Traceback" not in done.stderr
        assert b"caf" in done.stdout


def test_test_clips_that_cannot_be_shared_out_are_refused(tmp_path: Path) -> None:
    """`--test 2` made none, without a word."""
    result = CliRunner().invoke(APP, ["plant", "--out", str(tmp_path / "plant"), "--machines", "1", "--test", "6"])
    assert isinstance(result.exception, UsageError)
    assert "multiple of four" in str(result.exception)
