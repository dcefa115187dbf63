"""Recordings of any rate and number of channels become what the daemon would hear; everything else is refused."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import trainer.data.audio_file
from edged.capture.files import read_clip as read_as_the_daemon
from edged.errors import AudioError
from trainer.data.clips import read_clip, read_recording, recording_samples
from trainer.data.corpus import recorded_segments, write_corpus
from trainer.data.machine_clip import MachineClip


def write(path: Path, rate_hz: int = 16_000, channels: int = 1, seconds: float = 1.0, **options: str) -> Path:
    rng = np.random.default_rng(rate_hz + channels)
    sf.write(path, 0.1 * rng.standard_normal((int(seconds * rate_hz), channels)), rate_hz, **options)
    return path


def test_at_16_khz_mono_nothing_changes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", seconds=1.3)
    np.testing.assert_array_equal(read_recording(path), read_clip(path))


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 3])
def test_other_rates_and_channels_are_what_the_daemon_hears(tmp_path: Path, rate_hz: int, channels: int) -> None:
    path = write(tmp_path / "a.flac", rate_hz, channels, seconds=1.234)
    samples = read_recording(path)
    np.testing.assert_allclose(samples, read_as_the_daemon(path), atol=1e-6)
    assert len(samples) in {recording_samples(path), recording_samples(path) - 1}
    assert samples.dtype == np.float32


def test_blocks_leave_no_seams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.wav", 44_100, 2, seconds=0.7)
    whole = read_recording(path, channel=1)
    monkeypatch.setattr(trainer.data.audio_file, "_BLOCK_SAMPLES", 999)
    np.testing.assert_allclose(read_recording(path, channel=1), whole, atol=1e-6)


def test_the_strict_reader_stays_strict(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="convert it to 16 kHz mono"):
        read_clip(write(tmp_path / "a.wav", 48_000))


def test_long_files_are_refused_by_their_header(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"longer than 0\.5 s"):
        read_recording(write(tmp_path / "a.wav"), max_s=0.5)


def test_broken_files_are_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.wav").read_bytes()
    flac = write(tmp_path / "a.flac").read_bytes()
    broken = {
        "half.wav": (whole[: len(whole) // 2], "truncated"),
        "head.wav": (whole[:30], "truncated before its samples"),
        "half.flac": (flac[: len(flac) // 2], "truncated|damaged"),
        "text.wav": (b"no audio at all", "not readable as audio"),
        "empty.wav": (b"", "not readable as audio"),
        "absent.wav": (None, "not readable as audio"),
    }
    for name, (content, said) in broken.items():
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(AudioError, match=f"{name}: .*({said})"):
            read_recording(tmp_path / name)


def test_samples_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    samples = np.zeros(1000, np.float32)
    samples[500] = np.nan
    sf.write(tmp_path / "a.wav", samples, 48_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not numbers"):
        read_recording(tmp_path / "a.wav")


def test_no_samples_and_no_such_channel(tmp_path: Path) -> None:
    sf.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    with pytest.raises(AudioError, match="holds no samples"):
        read_recording(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="no channel 1"):
        read_recording(write(tmp_path / "a.wav"), channel=1)


def test_what_exceeds_full_scale_is_not_clipped(tmp_path: Path) -> None:
    """Regression: of float recordings beyond full scale, training heard the distortion and the daemon did not."""
    loud = 3.0 * np.sin(np.arange(1000, dtype=np.float32) * 0.1)
    corpus = write_corpus(tmp_path / "c.npy", [("loud", loud), ("soft", 0.1 * loud)], 2, 1000)
    np.testing.assert_allclose(corpus.signals[0] / 32767.0, loud / np.abs(loud).max(), atol=1e-4)
    np.testing.assert_allclose(corpus.signals[1] / 32767.0, 0.1 * loud, atol=1e-4)


def test_training_takes_recordings_as_they_are(tmp_path: Path) -> None:
    """Clips of other rates or with several channels stopped the training."""
    clip = MachineClip(write(tmp_path / "a.wav", 48_000, 2, seconds=0.5), "fan", "00", "source", "train", "normal")
    ((label, segment),) = recorded_segments([clip, replace(clip, split="supplemental")], 16_000)
    assert label == "fan/00"
    np.testing.assert_array_equal(segment, np.tile(read_recording(clip.path), 2))


def test_names_need_not_be_utf_8(tmp_path: Path) -> None:
    """Regression: a name in Latin-1 ended every command with a UnicodeEncodeError."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    with path.open("wb") as handle:
        handle.write(write(tmp_path / "a.wav").read_bytes())
    np.testing.assert_array_equal(read_recording(path), read_recording(tmp_path / "a.wav"))
    np.testing.assert_array_equal(read_clip(path), read_recording(path))
    with pytest.raises(AudioError, match="no channel 1"):
        read_recording(path, channel=1)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Regression: opening a pipe waited for ever."""
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    for name in ("pipe.wav", "folder.wav"):
        with pytest.raises(AudioError, match=f"{name}: is no file"):
            read_recording(tmp_path / name)
