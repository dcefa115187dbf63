from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from edged.capture import files
from edged.errors import AudioError, EnrolmentError
from edged.flow import Block
from edged.references import clips
from edged.references.clips import (
    ANOMALY_CLIPS,
    KEYWORD_CLIPS,
    clip_of_samples,
    examined,
    find_audio,
    read_clips,
)
from tests.fakes.sounds import RATE_HZ, machine


def test_directories_are_searched_and_sorted(tmp_path):
    for name in ("b/2.wav", "a/1.flac", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in find_audio([tmp_path])] == ["1.flac", "2.wav"]


def test_a_path_that_is_absent_is_named(tmp_path):
    with pytest.raises(EnrolmentError, match="nowhere"):
        find_audio([tmp_path / "nowhere"])


def test_copies_of_a_recording_count_once(tmp_path):
    sound = machine(2, 1)
    for name in ("a.wav", "copy.wav"):
        sf.write(tmp_path / name, sound, RATE_HZ)
    read, notes = read_clips(find_audio([tmp_path]), ANOMALY_CLIPS)
    assert [clip.name for clip in read] == ["a.wav"]
    assert len(notes) == 1
    assert "copy.wav" in notes[0]


def test_a_huge_sparse_file_is_refused_by_its_header(tmp_path):
    path = tmp_path / "huge.wav"
    sf.write(path, machine(2, 1), RATE_HZ)
    data = bytearray(path.read_bytes())
    data[4:8] = (3_000_000_036).to_bytes(4, "little")
    data[40:44] = (3_000_000_000).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    with path.open("r+b") as handle:
        handle.truncate(3_000_000_044)
    with pytest.raises(EnrolmentError, match="longer than"):
        read_clips([path], ANOMALY_CLIPS)


@pytest.mark.parametrize(
    ("samples", "words"),
    [(np.zeros(RATE_HZ * 2, np.float32), "silent"), (machine(0.05, 1), "shorter"), (machine(11, 1), "longer")],
)
def test_limits_of_a_keyword_clip(samples, words):
    with pytest.raises(EnrolmentError, match=words):
        clip_of_samples("x", samples, KEYWORD_CLIPS)


def test_a_clipped_recording_is_doubtful_but_usable():
    clip = clip_of_samples("x", np.clip(machine(2, 1) * 16, -1, 1), ANOMALY_CLIPS)
    assert "full scale" in clip.doubts[0]


def test_a_name_that_is_no_text_is_read_and_shown_with_escapes(tmp_path):
    """It ended in a UnicodeEncodeError, in libsndfile's binding or at the terminal."""
    sf.write(tmp_path / "a.wav", machine(2, 1), RATE_HZ)
    (tmp_path / "a.wav").rename(tmp_path / os.fsdecode(b"b\xff\n.wav"))
    (clip,), _ = read_clips(find_audio([tmp_path]), ANOMALY_CLIPS)
    assert clip.name == r"b\xff\n.wav"
    assert clip.duration_s == 2.0


def test_more_samples_than_the_header_says_are_not_read(tmp_path, monkeypatch):
    sf.write(tmp_path / "a.wav", machine(3, 1), RATE_HZ)
    endless = ([Block(at, machine(1, 1))] for at in range(0, 10**9, RATE_HZ))
    monkeypatch.setattr(files, "blocks_of_file", lambda *_, **__: (block for blocks in endless for block in blocks))
    with pytest.raises(AudioError, match="longer than 4 s"):
        files.read_clip(tmp_path / "a.wav", max_s=4.0)


def test_a_clip_that_changed_since_it_was_examined_is_not_used(tmp_path):
    sf.write(tmp_path / "a.wav", machine(3, 1), RATE_HZ)
    (clip,) = examined([tmp_path / "a.wav"], ANOMALY_CLIPS).clips
    sf.write(tmp_path / "a.wav", machine(3, 2), RATE_HZ)
    with pytest.raises(AudioError, match="changed while it was enrolled"):
        _ = clip.samples


def test_clips_that_are_too_much_together_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "MAX_TOTAL_S", 5.0)
    for seed in range(3):
        sf.write(tmp_path / f"{seed}.wav", machine(2, seed), RATE_HZ)
    with pytest.raises(EnrolmentError, match="together"):
        examined(find_audio([tmp_path]), ANOMALY_CLIPS)


def test_all_refusals_come_at_once_each_with_its_kind(tmp_path):
    sf.write(tmp_path / "good.wav", machine(2, 1), RATE_HZ)
    sf.write(tmp_path / "short.wav", machine(0.5, 1), RATE_HZ)
    (tmp_path / "text.wav").write_text("no audio")
    found = examined(find_audio([tmp_path]), ANOMALY_CLIPS)
    assert [clip.name for clip in found.clips] == ["good.wav"]
    assert {Path(clip.name).name: clip.fault for clip in found.refused} == {
        "short.wav": "too short",
        "text.wav": "unreadable",
    }


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
@pytest.mark.parametrize("at", [0, 20_000, -1])
def test_not_a_number_anywhere_is_refused(tmp_path, rate_hz, at):
    """A clip whose last samples were NaN was enrolled without them."""
    sound = machine(3, 1, rate_hz=rate_hz)
    sound[at] = np.nan
    sf.write(tmp_path / "a.wav", sound, rate_hz, subtype="FLOAT")
    with pytest.raises(EnrolmentError, match="not numbers"):
        read_clips([tmp_path / "a.wav"], ANOMALY_CLIPS)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_undamaged_clips_of_any_rate_are_whole(tmp_path, rate_hz):
    sf.write(tmp_path / "a.wav", machine(2.0007, 1, rate_hz=rate_hz), rate_hz, subtype="FLOAT")
    (clip,), _ = read_clips([tmp_path / "a.wav"], ANOMALY_CLIPS)
    assert clip.duration_s == pytest.approx(2.0007, abs=1e-3)
