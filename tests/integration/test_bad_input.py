"""Every bad input gets one clear error, its exit code, and changes no state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.fakes.sounds import RATE_HZ, machine, word


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def write(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ, **options: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, samples, rate_hz, **options)
    return path


def bad_clip(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.wav"
    good = machine(3, 1)
    if kind == "empty":
        return write(path, np.zeros(0, np.float32))
    if kind == "nan":
        good[100] = np.nan
        return write(path, good, subtype="FLOAT")
    if kind == "inf":
        good[100] = np.inf
        return write(path, good, subtype="FLOAT")
    if kind == "silent":
        return write(path, np.zeros(RATE_HZ * 3, np.float32))
    if kind == "truncated":
        data = write(path, good).read_bytes()
        path.write_bytes(data[: len(data) // 2])
        return path
    if kind == "not audio":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"this is no sound" * 100)
        return path
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["empty", "nan", "inf", "silent", "truncated", "not audio"])
def test_one_bad_clip_refuses_the_enrolment_and_changes_nothing(kind, edged, state, tmp_path):
    clips = tmp_path / "clips"
    for seed in range(3):
        write(clips / f"good{seed}.wav", machine(3, seed))
    path = bad_clip(kind, clips)
    result = edged("enroll", "--clips", clips, "--stream", "fan", "--state", state)
    assert result.code == 1
    assert path.name in result.err
    assert "1 clip refused, nothing enrolled" in result.err
    shown = edged("references", "show", "--stream", "fan", "--state", state)
    assert shown.code == 1
    assert "nothing is enrolled" in shown.err


@pytest.mark.parametrize(("seconds", "words"), [(0.05, "shorter than"), (300.0, "longer than")])
def test_a_keyword_clip_of_the_wrong_length_is_refused(seconds, words, edged, state, tmp_path):
    path = write(tmp_path / "w.wav", np.resize(word("go", 1), round(seconds * RATE_HZ)))
    result = edged("enroll", "--clips", path, "--stream", "hall", "--keyword", "go", "--state", state)
    assert result.code == 1
    assert words in result.err
    assert edged("references", "show", "--stream", "hall", "--state", state).code == 1


def test_a_directory_without_audio_is_refused(edged, state, tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "readme.txt").write_text("no sound here")
    result = edged("enroll", "--clips", tmp_path / "clips", "--stream", "fan", "--state", state)
    assert result.code == 1
    assert "holds no audio files" in result.err


@pytest.mark.parametrize(
    ("rate_hz", "channels", "subtype"),
    [(96_000, 6, "PCM_24"), (8_000, 1, "PCM_U8"), (44_100, 2, "FLOAT"), (22_050, 1, "DOUBLE"), (48_000, 1, "PCM_32")],
)
def test_every_format_is_enrolled_and_scored(rate_hz, channels, subtype, edged, state, tmp_path):
    for seed in range(4):
        mono = machine(4, seed, rate_hz=rate_hz)
        write(tmp_path / "c" / f"{seed}.wav", np.tile(mono[:, None], (1, channels)), rate_hz, subtype=subtype)
    channel = channels - 1
    enrolled = edged(
        "enroll", "--clips", tmp_path / "c", "--stream", "fan", "--state", state, "--channel", channel, "--json"
    )
    assert enrolled.code == 0, enrolled.err
    assert enrolled.json["added_clips"] == 4
    scored = edged("score", tmp_path / "c" / "0.wav", "--clip", "--jsonl", "--state", state, "--channel", channel)
    assert scored.code == 0, scored.err
    assert np.isfinite(scored.lines[0]["score"])


def test_a_missing_channel_is_named(edged, state, tmp_path):
    path = write(tmp_path / "a.wav", machine(3, 0))
    result = edged("enroll", "--clips", path, "--stream", "fan", "--state", state, "--channel", 5)
    assert result.code == 1
    assert "channel" in result.err


def test_scoring_goes_on_after_a_bad_file_and_says_so(edged, state, tmp_path):
    for seed in range(4):
        write(tmp_path / "c" / f"{seed}.wav", machine(3, seed))
    assert edged("enroll", "--clips", tmp_path / "c", "--stream", "fan", "--state", state).code == 0
    bad = bad_clip("truncated", tmp_path / "bad")
    result = edged("score", bad, tmp_path / "c" / "0.wav", "--clip", "--jsonl", "--state", state)
    assert result.code == 1
    assert "truncated" in result.err
    assert [Path(line["file"]).name for line in result.lines] == ["0.wav"]


def test_scoring_an_unknown_stream_says_what_to_do(edged, state, tmp_path):
    path = write(tmp_path / "a.wav", machine(3, 0))
    result = edged("score", path, "--stream", "nobody", "--state", state)
    assert result.code == 2
    assert "nothing is enrolled" in result.err


def test_unknown_configuration_keys_exit_with_78_and_a_suggestion(edged, tmp_path):
    path = tmp_path / "edged.yaml"
    path.write_text("devices:\n  a: {source: file, path: x.wav, spede: 2}\nstreems: {}\n")
    result = edged("check-config", path)
    assert result.code == 78
    assert "did you mean 'speed'" in result.err
    assert "did you mean 'streams'" in result.err


def test_a_bundle_with_a_wrong_hash_is_refused(edged, state, tmp_path):
    from edged.assembly import open_bundle

    copy = tmp_path / "bundle"
    copy.mkdir()
    for path in open_bundle("keyword").directory.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    model = copy / "model.onnx"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(bytes(data))
    result = edged("bundle", "verify", copy)
    assert result.code == 1
    assert "altered" in result.err
