"""The command line itself: help, exit codes, and output for programs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile as sf
import typer

from edged.cli.main import app
from edged.cli.messages import event_line
from tests.fakes.commandline import edged  # noqa: F401 - a fixture
from tests.fakes.sounds import RATE_HZ, machine


def command_paths() -> list[list[str]]:
    root = typer.main.get_command(app)
    paths = []
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        paths.append([name])
        paths += [[name, inner] for inner in getattr(command, "commands", {})]
    return paths


@pytest.mark.parametrize("path", command_paths(), ids=" ".join)
def test_every_command_has_help(path, edged):  # noqa: F811
    result = edged(*path, "--help")
    assert result.code == 0
    assert "Usage" in result.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["score"], 2),
        (["score", "x.wav", "--clip", "--scores"], 2),
        (["enroll", "--stream", "a"], 2),
        (["enroll", "--clips", ".", "--keyword", "go", "--domain", "d"], 2),
        (["enroll", "--clips", ".", "--source", "--domain", "d"], 2),
        (["enroll", "--event", "b-1", "--channel", "1"], 2),
        (["enroll", "--last", "soon", "--stream", "a"], 2),
        (["enroll", "--last", "10m", "--clips", ".", "--stream", "a"], 2),
        (["enroll", "--last", "10m", "--stream", "a"], 1),
        (["references", "rollback", "--stream", "a", "--monitor", "smell"], 2),
        (["check-config", "nowhere.yaml"], 78),
        (["bundle", "verify", "nowhere"], 1),
        (["nonsense"], 2),
    ],
)
def test_exit_codes(arguments, code, edged, tmp_path):  # noqa: F811
    stateful = arguments[0] in {"score", "enroll", "references"}
    result = edged(*arguments, *(["--state", tmp_path] if stateful else []))
    assert result.code == code
    assert result.err


def test_a_folder_is_enrolled_and_another_scored_in_two_commands(edged, tmp_path):  # noqa: F811
    for folder, seeds, fault in (("normal", range(8), False), ("odd", range(20, 23), True)):
        (tmp_path / folder).mkdir()
        for seed in seeds:
            sf.write(tmp_path / folder / f"{seed}.wav", machine(10, seed, fault=fault), RATE_HZ)
    state = tmp_path / "state"
    assert edged("enroll", "--clips", tmp_path / "normal", "--stream", "new", "--state", state).code == 0
    result = edged("score", "--clip", "--jsonl", tmp_path / "odd", "--state", state)
    assert result.code == 0
    assert [set(line) for line in result.lines] == [{"file", "score"}] * 3
    scores = edged("score", "--scores", "--jsonl", tmp_path / "odd", "--state", state).lines
    assert all(line["score"] > line["threshold"] for line in scores)
    assert all(line["end_s"] - line["start_s"] == 10.0 for line in scores)


def test_a_file_without_a_number_in_it_does_not_end_the_others(edged, tmp_path):  # noqa: F811
    """It was taken for a stream without a monitor: exit code 2, and the files after it were not scored."""
    for seed in range(4):
        sf.write(tmp_path / f"{seed}.wav", machine(10, seed), RATE_HZ)
    state = tmp_path / "state"
    assert edged("enroll", *sorted(tmp_path.glob("*.wav")), "--stream", "new", "--state", state).code == 0
    sf.write(tmp_path / "nan.wav", np.full(RATE_HZ, np.nan), RATE_HZ, subtype="FLOAT")
    files = [tmp_path / name for name in ("0.wav", "nan.wav", "1.wav")]
    result = edged("score", "--clip", "--jsonl", *files, "--state", state)
    assert result.code == 1
    assert [line["file"] for line in result.lines] == [str(files[0]), str(files[2])]
    assert "nan.wav: holds no samples that could be scored" in result.err


def test_a_name_that_is_no_text_is_scored_and_printed(edged, tmp_path):  # noqa: F811
    """It ended in a traceback where the terminal takes UTF-8 only."""
    for seed in range(3):
        sf.write(tmp_path / f"{seed}.wav", machine(10, seed), RATE_HZ)
    state, odd = tmp_path / "state", tmp_path / "odd"
    assert edged("enroll", "--clips", tmp_path, "--stream", "new", "--state", state).code == 0
    odd.mkdir()
    (tmp_path / "0.wav").rename(odd / "a\udcff\nb.wav")
    for options in (("--clip",), ("--clip", "--jsonl"), ("--scores", "--jsonl")):
        result = edged("score", odd, *options, "--state", state)
        assert result.code == 0
        assert "xff" in result.out
        assert result.out.replace("\n", "").isprintable()


def test_references_that_never_were_are_not_removed(edged, tmp_path):  # noqa: F811
    """A mistyped stream was "removed", and the one that was meant stayed in use."""
    for seed in range(2):
        sf.write(tmp_path / f"{seed}.wav", machine(10, seed), RATE_HZ)
    state = tmp_path / "state"
    edged("enroll", "--clips", tmp_path, "--stream", "new", "--state", state)
    result = edged("references", "remove", "--stream", "nwe", "--state", state)
    assert (result.code, "enrolled are: new / anomaly" in result.err) == (1, True)
    assert [edged("references", "remove", "--stream", "new", "--state", state).code for _ in range(2)] == [0, 0]


def test_references_are_shown_for_programs(edged, tmp_path):  # noqa: F811
    for seed in range(3):
        sf.write(tmp_path / f"{seed}.wav", machine(10, seed), RATE_HZ)
    state = tmp_path / "state"
    for domain in ("source", "night"):
        clip = tmp_path / ("0.wav" if domain == "source" else "1.wav")
        extra = [tmp_path / "2.wav"] if domain == "source" else []
        edged("enroll", clip, *extra, "--stream", "new", "--domain", domain, "--state", state)
    shown = json.loads(edged("references", "show", "--state", state, "--json").out)
    assert shown["monitors"]["anomaly"]["labels"] == {"source": 2, "night": 1}
    assert [v["version"] for v in shown["monitors"]["anomaly"]["versions"]] == [2, 1]
    assert edged("references", "rollback", "--state", state).code == 0
    shown = json.loads(edged("references", "show", "--state", state, "--json").out)
    assert shown["monitors"]["anomaly"]["version"] == 1
    assert json.loads(edged("references", "--stream", "new", "--state", state, "--json").out) == shown
    assert json.loads(edged("references", "--stream", "new", "--state", state, "--json", "show").out) == shown
    assert edged("references", "--stream", "new", "--state", state, "remove").code == 0
    assert edged("references", "--stream", "new", "rollback", "--state", state, "--version", 1).code == 0
    assert edged("references", "--stream", "other", "--state", state, "show").code == 1
    refitted = edged("references", "refit", "--stream", "new", "--state", state)
    assert refitted.out.startswith("new / anomaly: version 1 stays active: fitting again changes nothing; ")


def test_events_read_well():
    event = {"time": "T", "stream": "fan", "kind": "onset", "score": 3.14159, "domain": "night", "onset_s": 12.0}
    assert event_line(event).split() == ["T", "fan", "onset", "domain=night", "onset=12.00s", "score=3.142"]


def test_drift_is_one_line_with_its_state():
    facts = {"onset_s": 60.0, "score": 2.5, "severity": None, "details": {"state": "set in", "spreads": 2.61}}
    line = event_line({"time": "T", "stream": "fan", "kind": "drift", "domain": "night", **facts})
    assert line == "T  fan              drift      domain=night set in spreads=2.6 onset=60.00s score=2.500"


def test_a_mistyped_state_directory_is_named_and_not_made(edged, tmp_path):  # noqa: F811
    result = edged("events", "--state", str(tmp_path / "mistyped"))
    assert (result.code, result.out) == (0, "")
    assert "mistyped: no daemon has run" in result.err
    assert not (tmp_path / "mistyped").exists()
