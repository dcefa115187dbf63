import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.capture.files import blocks_of_file, read_clip
from edged.capture.source import SourceSpec
from edged.capture.wavfile import FileSource
from edged.errors import AudioError


def write(path, samples, rate_hz=16000, subtype="PCM_16"):
    soundfile.write(str(path), samples, rate_hz, subtype=subtype)
    return path


def tone(n=8000, rate_hz=16000, channels=1):
    mono = 0.5 * np.sin(2 * np.pi * 440 * np.arange(n) / rate_hz)
    return np.repeat(mono[:, None], channels, axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "rate_hz", "channels", "coding"),
    [
        ("a.wav", 16000, 1, ("PCM_16", 1e-4)),
        ("a.wav", 16000, 1, ("PCM_U8", 1e-2)),
        ("a.wav", 16000, 2, ("PCM_24", 1e-6)),
        ("a.wav", 16000, 6, ("FLOAT", 1e-6)),
        ("a.wav", 96000, 6, ("FLOAT", 2e-3)),
        ("a.wav", 8000, 1, ("DOUBLE", 2e-3)),
        ("a.flac", 44100, 2, ("PCM_24", 2e-3)),
    ],
)
def test_any_width_rate_and_number_of_channels_is_the_same_sound(tmp_path, name, rate_hz, channels, coding):
    subtype, tolerance = coding
    path = write(tmp_path / name, tone(rate_hz, rate_hz, channels), rate_hz, subtype)
    clip = read_clip(path, channel=channels - 1)
    assert abs(len(clip) - 16000) <= 1
    inside = np.s_[500:15500]
    np.testing.assert_allclose(clip[inside], tone(16000)[: len(clip), 0][inside], atol=tolerance)


def _truncated_wav(path):
    write(path, tone())
    path.write_bytes(path.read_bytes()[:-3001])


def _truncated_flac(path):
    path = write(path, np.random.default_rng(0).standard_normal(48000).astype(np.float32) * 0.1)
    path.write_bytes(path.read_bytes()[:20000])


def _flac_of_a_pipe(path):
    data = bytearray(write(path, tone()).read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # the number of samples
    path.write_bytes(data)


def _not_a_number(path):
    samples = tone()
    samples[100] = np.nan
    write(path, samples, subtype="FLOAT")


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("gone.wav", lambda _: None, "no such file"),
        ("zero.wav", lambda p: write(p, np.zeros(0, np.float32)), "holds no samples"),
        ("text.wav", lambda p: p.write_text("hello"), "not readable as audio"),
        ("empty.wav", lambda p: p.write_bytes(b""), "not readable as audio"),
        ("cut.wav", _truncated_wav, "truncated"),
        ("head.wav", lambda p: p.write_bytes(write(p, tone()).read_bytes()[:30]), "truncated"),
        ("cut.flac", _truncated_flac, "cut.flac: (truncated|damaged)"),
        ("piped.flac", _flac_of_a_pipe, "does not state its length.*; convert it"),
        ("nan.wav", _not_a_number, "not numbers"),
    ],
)
def test_each_broken_file_gets_one_clear_error(tmp_path, name, make, message):
    make(tmp_path / name)
    with pytest.raises(AudioError, match=message):
        read_clip(tmp_path / name)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 127), st.integers(0, 255)), max_size=6), st.integers(0, 1500))
def test_no_damage_to_a_header_is_worse_than_an_audio_error(tmp_path_factory, changes, length):
    path = tmp_path_factory.getbasetemp() / "fuzzed.wav"
    data = bytearray(write(path, tone(600)).read_bytes()[:length])
    for position, value in changes:
        if position < len(data):
            data[position] = value
    path.write_bytes(data)
    try:
        n_samples = sum(len(block.samples) for block in blocks_of_file(path))
    except AudioError:
        return
    assert n_samples <= 600 * 16000


def test_a_wav_from_a_writer_that_did_not_know_its_length_is_read_to_its_end(tmp_path):
    path = write(tmp_path / "piped.wav", tone())
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[4:8] = data[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)
    assert len(read_clip(path)) == 8000


def test_not_numbers_on_a_stream_are_a_declared_gap(tmp_path):
    _not_a_number(tmp_path / "nan.wav")
    blocks = list(blocks_of_file(tmp_path / "nan.wav"))
    assert sum(b.lost_before for b in blocks) == 160
    assert blocks[-1].end == 8000


def test_a_clip_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(AudioError, match=r"longer than 0\.25 s"):
        read_clip(write(tmp_path / "a.wav", tone()), max_s=0.25)


def test_a_loop_goes_on_without_a_gap_and_can_begin_anywhere(tmp_path):
    samples = np.arange(100, dtype=np.float32) / 200
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    source = FileSource(SourceSpec("file", str(path), speed=0, loop=True, block_s=0.002, start_frame=230))
    got = []
    for block in source.blocks():
        got.append(block)
        if block.end > 500:
            break
    assert got[0].sample == 230
    heard = np.concatenate([b.frames[:, 0] for b in got])
    np.testing.assert_array_equal(heard, np.resize(np.roll(samples, -30), len(heard)))


def test_pacing_releases_each_block_when_its_last_sample_is_due(tmp_path):
    path = write(tmp_path / "a.wav", tone(1600))
    now_s = [100.0]
    waits = []

    def wait(wait_s):
        waits.append(wait_s)
        now_s[0] += wait_s
        return False

    source = FileSource(SourceSpec("file", str(path), speed=2.0, block_s=0.01), now_s=lambda: now_s[0], wait=wait)
    assert sum(len(b.frames) for b in source.blocks()) == 1600
    assert waits == pytest.approx([0.005] * 10)


def test_a_file_that_was_held_back_does_not_rush_to_catch_up(tmp_path):
    """Regression: behind a worker that could not keep up, the file ran at whatever speed the worker managed."""
    path = write(tmp_path / "a.wav", tone(16000 * 4))
    now_s = [100.0]

    def wait(wait_s):
        now_s[0] += wait_s
        return False

    source = FileSource(SourceSpec("file", str(path), speed=1.0, block_s=0.1), now_s=lambda: now_s[0], wait=wait)
    blocks = source.blocks()
    next(blocks)
    now_s[0] += 60.0
    held_back_until_s = now_s[0]
    assert sum(len(b.frames) for b in blocks) == 16000 * 4 - 1600
    assert now_s[0] - held_back_until_s == pytest.approx(3.9 - 0.5, abs=0.11)
