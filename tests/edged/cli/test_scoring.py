"""`edged score --clip` speaks of the machine, never of an input that was dead meanwhile."""

import json

import numpy as np
import pytest
import soundfile as sf

from tests.fakes.commandline import edged  # noqa: F401 - a fixture
from tests.fakes.sounds import RATE_HZ, machine


@pytest.fixture
def enrolled(edged, tmp_path):  # noqa: F811
    (tmp_path / "normal").mkdir()
    for seed in range(6):
        sf.write(tmp_path / "normal" / f"{seed}.wav", machine(10, seed), RATE_HZ)
    state = tmp_path / "state"
    assert edged("enroll", "--clips", tmp_path / "normal", "--stream", "new", "--state", state).code == 0
    return state


def test_segments_without_sound_are_left_out_of_a_clips_score(edged, enrolled, tmp_path):  # noqa: F811
    # they were averaged in: half a minute of a pulled plug made a sound machine look broken
    sound = machine(20, 50)
    sf.write(tmp_path / "torn.wav", np.concatenate([sound, np.zeros(10 * RATE_HZ, np.float32)]), RATE_HZ)
    torn = edged("score", "--clip", "--jsonl", tmp_path / "torn.wav", "--state", enrolled)
    assert torn.code == 0
    segments = edged("score", "--scores", "--jsonl", tmp_path / "torn.wav", "--state", enrolled).lines
    live, dead = ([s["score"] for s in segments if (s["input"] == "ok") == is_live] for is_live in (True, False))
    assert live
    assert dead
    assert json.loads(torn.out)["score"] == pytest.approx(np.mean(live))
    assert f"{len(dead)} of {len(segments)} segments left out" in torn.err


def test_a_clip_is_told_with_its_threshold_and_to_programs_without(edged, enrolled, tmp_path):  # noqa: F811
    sf.write(tmp_path / "well.wav", machine(10, 51), RATE_HZ)
    told = edged("score", "--clip", tmp_path / "well.wav", "--state", enrolled).out.split()
    segment = edged("score", "--scores", "--jsonl", tmp_path / "well.wav", "--state", enrolled).lines[0]
    program = edged("score", "--clip", "--jsonl", tmp_path / "well.wav", "--state", enrolled).lines[0]
    assert told[1:] == [f"{key}={segment[key]:.3f}" for key in ("score", "threshold")]
    assert program == {"file": str(tmp_path / "well.wav"), "score": segment["score"]}


def test_a_clip_of_which_nothing_can_be_judged_is_refused_by_its_reason(edged, enrolled, tmp_path):  # noqa: F811
    sf.write(tmp_path / "dead.wav", np.full(12 * RATE_HZ, 0.01, np.float32), RATE_HZ)
    sf.write(tmp_path / "well.wav", machine(10, 51), RATE_HZ)
    result = edged("score", "--clip", "--jsonl", tmp_path / "dead.wav", tmp_path / "well.wav", "--state", enrolled)
    assert result.code == 1
    assert "dead.wav: none of it can be judged: flat" in result.err
    assert [line["file"] for line in result.lines] == [str(tmp_path / "well.wav")]


@pytest.mark.parametrize("what", ["--events", "--scores"])
def test_a_file_without_sound_says_why_nothing_comes_of_it(edged, enrolled, tmp_path, what):  # noqa: F811
    sf.write(tmp_path / "torn.wav", np.full(12 * RATE_HZ, np.nan, np.float32), RATE_HZ, subtype="FLOAT")
    sf.write(tmp_path / "dead.wav", np.full(12 * RATE_HZ, 0.01, np.float32), RATE_HZ)
    result = edged("score", what, "--jsonl", tmp_path / "torn.wav", tmp_path / "dead.wav", "--state", enrolled)
    assert result.code == 0
    assert {line["input"] for line in result.lines} == ({"flat"} if what == "--scores" else set())
    assert "torn.wav: 12.00 s of it are not numbers" in result.err
    assert "torn.wav: holds no samples that could be scored" in result.err
    n_segments = len(edged("score", "--scores", "--jsonl", tmp_path / "dead.wav", "--state", enrolled).lines)
    assert f"dead.wav: {n_segments} of {n_segments} segments left out: flat" in result.err


@pytest.mark.parametrize("what", ["--events", "--scores", "--clip"])
@pytest.mark.parametrize("rate_hz", [RATE_HZ, 44_100])
def test_how_much_of_a_file_is_lost_is_told_under_a_name_that_can_be_shown(edged, enrolled, tmp_path, what, rate_hz):  # noqa: F811
    sound = np.resize(machine(20, 51), 30 * rate_hz)
    path = tmp_path / "bad\x1b[31m.wav"
    sf.write(path, np.where(np.arange(len(sound)) // rate_hz < 25, sound, np.nan), rate_hz, subtype="FLOAT")
    result = edged("score", what, "--jsonl", path, "--state", enrolled)
    assert "\x1b" not in result.err
    (remark,) = {line for line in result.err.splitlines() if "not numbers" in line}
    assert remark.endswith("5.00 s of it are not numbers")
    sf.write(path, sound, rate_hz, subtype="FLOAT")
    assert "not numbers" not in edged("score", what, "--jsonl", path, "--state", enrolled).err
