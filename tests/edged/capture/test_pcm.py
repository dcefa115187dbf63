import itertools
import os
import threading

import numpy as np
import pytest

from edged.capture.pcm import PcmSource
from edged.capture.source import AbsentDeviceError, SourceSpec
from edged.errors import AudioError, DeviceError


def feed(path, pieces):
    def write():
        with path.open("wb", buffering=0) as out:
            out.writelines(pieces)

    writer = threading.Thread(target=write)
    writer.start()
    return writer


@pytest.mark.parametrize(("sample_format", "dtype", "scale"), [("s16le", "<i2", 32768), ("f32le", "<f4", 1)])
def test_reads_of_odd_lengths_never_shift_a_channel(tmp_path, sample_format, dtype, scale):
    fifo = tmp_path / "pcm"
    os.mkfifo(fifo)
    samples = np.arange(2000).reshape(1000, 2).astype(dtype)
    data = samples.tobytes()
    writer = feed(fifo, [data[:1], data[1:14], data[14:2001], data[2001:], b"\x01"])
    source = PcmSource(SourceSpec("pcm", str(fifo), rate_hz=16000, channels=2, sample_format=sample_format))
    blocks = list(source.blocks())
    writer.join()
    source.close()
    heard = np.concatenate([b.frames for b in blocks])
    np.testing.assert_array_equal(heard, samples.astype(np.float32) / scale)
    assert [b.sample for b in blocks] == list(np.cumsum([0, *[len(b.frames) for b in blocks[:-1]]]))


def test_a_reader_that_is_killed_leaves_half_a_frame_for_the_next(tmp_path):
    """Four bytes of six: the next child must not take them for the first channel."""
    fifo = tmp_path / "pcm"
    os.mkfifo(fifo)
    spec = SourceSpec("pcm", str(fifo), rate_hz=16000, channels=3)
    first = PcmSource(spec)
    with fifo.open("wb", buffering=0) as out:
        out.write(np.array([1, 2, 3, 4, 5], "<i2").tobytes())
        assert len(next(first.blocks()).frames) == 1
        second = PcmSource(spec)
        first.close()
        out.write(np.array([6], "<i2").tobytes())
        (block,) = itertools.islice(second.blocks(), 1)
    np.testing.assert_array_equal(block.frames * 32768, [[4, 5, 6]])
    second.close()


def test_whoever_writes_next_is_waited_for_and_gets_none_of_the_last_ones_half_frame(tmp_path):
    """With systemd's Restart= the next writer may be there before this child is gone."""
    fifo = tmp_path / "pcm"
    os.mkfifo(fifo)
    spec = SourceSpec("pcm", str(fifo), rate_hz=16000, channels=2, reopens=True)
    writer = feed(fifo, [np.array([1, 2, 3], "<i2").tobytes()])
    first = PcmSource(spec)
    blocks = first.blocks()
    heard = [next(blocks).frames]
    with pytest.raises(AbsentDeviceError, match="its writer has closed it"):
        next(blocks)
    writer.join()
    with fifo.open("wb", buffering=0) as out:
        out.write(np.array([5, 6], "<i2").tobytes())
        second = PcmSource(spec)
        first.close()
        blocks = second.blocks()
        heard.append(next(blocks).frames)
    with pytest.raises(AbsentDeviceError):
        next(blocks)
    second.close()
    np.testing.assert_array_equal(np.concatenate(heard) * 32768, [[1, 2], [5, 6]])


def test_a_file_on_standard_input_is_read_to_its_end(tmp_path):
    samples = np.arange(5000, dtype="<i2")
    (tmp_path / "raw").write_bytes(samples.tobytes())
    source = PcmSource(SourceSpec("pcm", str(tmp_path / "raw"), rate_hz=16000, channels=1))
    heard = np.concatenate([block.frames[:, 0] for block in source.blocks()])
    np.testing.assert_array_equal(heard * 32768, samples)


def test_a_fifo_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AudioError, match="no such file or FIFO"):
        PcmSource(SourceSpec("pcm", str(tmp_path / "no"), rate_hz=16000, channels=1))


def test_a_fifo_that_its_writer_makes_anew_is_waited_for(tmp_path):
    """It would be a failure for good, if a try fell between the writer's `rm` and `mkfifo`."""
    with pytest.raises(AbsentDeviceError, match="no such file or FIFO"):
        PcmSource(SourceSpec("pcm", str(tmp_path / "no"), rate_hz=16000, channels=1, reopens=True))


def test_raw_pcm_without_a_rate_is_refused():
    with pytest.raises(DeviceError, match="says nothing about itself"):
        SourceSpec("pcm", "-", channels=1)


def test_a_file_of_more_than_4_gib_is_read_to_its_end(tmp_path):
    """The kernel counts what is readable in 32 bits: exactly 4 GiB before its end a file seemed to have ended."""
    path = tmp_path / "days.raw"
    with path.open("wb") as file:
        file.truncate((4 << 30) + 640)
    source = PcmSource(SourceSpec("pcm", str(path), rate_hz=16000, channels=1, block_s=0.02))
    assert [len(block.frames) for block in itertools.islice(source.blocks(), 3)] == [320, 320, 320]
    source.close()


def test_what_is_neither_a_pipe_nor_a_file_is_refused_for_good():
    """A service without standard input restarted its child for ever."""
    source = PcmSource(SourceSpec("pcm", "/dev/null", rate_hz=16000, channels=1))
    with pytest.raises(AudioError, match="pipe or a file"):
        next(source.blocks())
    source.close()
