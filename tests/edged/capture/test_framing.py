import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.capture.framing import (
    MAX_PAYLOAD_BYTES,
    Frame,
    FrameKind,
    FrameReader,
    FrameTimeoutError,
    FramingError,
    encode,
)

AUDIO = np.arange(12, dtype=np.float32).reshape(6, 2)
BLOCK = Frame(FrameKind.BLOCK, 48000, 2, sample=7, lost=3, payload=AUDIO.tobytes())


def read_all(data, timeout_s=5.0):
    """Frames read from a pipe that delivers ``data`` and closes."""
    read_fd, write_fd = os.pipe()

    def write():
        with os.fdopen(write_fd, "wb") as out:
            out.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    reader, frames = FrameReader(read_fd), []
    try:
        while frame := reader.read(timeout_s):
            frames.append(frame)
    finally:
        os.close(read_fd)
        writer.join()
    return frames


def test_frames_come_back_as_they_were():
    frames = [Frame(FrameKind.FORMAT, 48000, 2), BLOCK, Frame(FrameKind.ERROR, payload="Gerät weg".encode())]
    assert read_all(b"".join(map(encode, frames))) == frames
    np.testing.assert_array_equal(BLOCK.audio(), AUDIO)
    assert frames[2].text() == "Gerät weg"


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_noise_is_refused_or_empty_never_a_crash(data):
    try:
        frames = read_all(data)
    except FramingError:
        return
    assert frames == []


@given(st.integers(0, len(encode(BLOCK)) - 1), st.integers(1, 255))
@settings(max_examples=150, deadline=None)
def test_any_changed_byte_is_noticed(position, change):
    data = bytearray(encode(BLOCK))
    data[position] ^= change
    with pytest.raises(FramingError):
        read_all(bytes(data))


@given(st.integers(1, len(encode(BLOCK)) - 1))
@settings(max_examples=50, deadline=None)
def test_a_child_that_dies_inside_a_frame_is_noticed(length):
    with pytest.raises(FramingError):
        read_all(encode(BLOCK) + encode(BLOCK)[:length])


def test_an_oversized_frame_is_refused_before_it_is_read():
    head = bytearray(encode(Frame(FrameKind.BLOCK, 16000, 1)))
    head[28:32] = (MAX_PAYLOAD_BYTES + 4).to_bytes(4, "little")
    with pytest.raises(FramingError, match="over the limit"):
        read_all(bytes(head))


def test_a_silent_child_runs_into_the_time_limit():
    read_fd, write_fd = os.pipe()
    try:
        with pytest.raises(FrameTimeoutError):
            FrameReader(read_fd).read(0.01)
    finally:
        os.close(read_fd)
        os.close(write_fd)
