import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.capture.convert import ChannelConverter, stream_index
from edged.capture.source import DeviceBlock
from edged.errors import AudioError

RATES = st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 96000])


def noise(n, channels=1, seed=0):
    return np.random.default_rng(seed).standard_normal((n, channels)).astype(np.float32) * 0.1


def convert(blocks, channel=0):
    converter = ChannelConverter(channel)
    out = [made for block in blocks for made in converter.push(block)]
    out += converter.flush()
    return out, converter


def cut(frames, rate_hz, lengths):
    blocks, start = [], 0
    for length in [*lengths, len(frames)]:
        piece = frames[start : start + length]
        if len(piece):
            blocks.append(DeviceBlock(start, piece, rate_hz))
        start += len(piece)
    return blocks


def joined(blocks):
    return np.concatenate([b.samples for b in blocks]) if blocks else np.zeros(0, np.float32)


def gaps(blocks):
    """(stream index, lost) where a block does not follow its predecessor."""
    return [(b.sample, b.lost_before) for b in blocks if b.lost_before]


def assert_runs_on(blocks):
    end = 0
    for block in blocks:
        assert block.sample - block.lost_before == end
        assert np.isfinite(block.samples).all()
        end = block.end


def test_16_khz_passes_bit_for_bit_and_picks_its_channel():
    frames = noise(5000, channels=3)
    blocks, converter = convert(cut(frames, 16000, [7, 1000, 1]), channel=2)
    np.testing.assert_array_equal(joined(blocks), frames[:, 2])
    assert converter.received == 5000


@settings(max_examples=60, deadline=None)
@given(RATES, st.lists(st.integers(1, 3000), max_size=12), st.lists(st.integers(0, 11999), max_size=4))
def test_any_cutting_gives_the_same_samples_and_the_same_gaps(rate_hz, lengths, bad):
    frames = noise(12000)
    frames[bad] = np.nan
    whole, _ = convert(cut(frames, rate_hz, []))
    pieces, converter = convert(cut(frames, rate_hz, lengths))
    np.testing.assert_array_equal(joined(pieces), joined(whole))
    assert gaps(pieces) == gaps(whole)
    assert_runs_on(pieces)
    lost_at_end = converter.received - (pieces[-1].end if pieces else 0)
    assert sum(len(b.samples) + b.lost_before for b in pieces) + lost_at_end == stream_index(12000, rate_hz)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_what_is_no_sound_is_lost_in_cells_of_10_ms_and_nothing_else(bad):
    frames = noise(1600)
    frames[500] = bad
    blocks, _ = convert([DeviceBlock(0, frames, 16000)])
    assert gaps(blocks) == [(640, 160)]
    np.testing.assert_array_equal(joined(blocks), np.delete(frames[:, 0], np.s_[480:640]))


@pytest.mark.parametrize("rate_hz", [11025, 44100, 48000])
def test_a_declared_gap_keeps_the_index_true_to_time(rate_hz):
    """A click 1.5 s after time zero stays at sample 24000 although 0.4 s before it are lost."""
    signal = np.zeros((2 * rate_hz, 1), np.float32)
    signal[round(1.5 * rate_hz)] = 1.0
    begin, end = round(0.7 * rate_hz), round(1.1 * rate_hz)
    blocks, _ = convert(
        [DeviceBlock(0, signal[:begin], rate_hz), DeviceBlock(end, signal[end:], rate_hz, lost_before=end - begin)]
    )
    assert_runs_on(blocks)
    assert abs(sum(lost for _, lost in gaps(blocks)) - 6400) <= 2  # rounding at both ends
    loudest = max(blocks, key=lambda b: np.abs(b.samples).max())
    assert abs(loudest.sample + int(np.abs(loudest.samples).argmax()) - 24000) <= 1


def test_a_change_of_rate_begins_anew_at_the_same_time():
    blocks, converter = convert(
        [DeviceBlock(0, noise(48000), 48000), DeviceBlock(44101, noise(44100), 44100, lost_before=1)]
    )
    assert_runs_on(blocks)
    assert converter.received == stream_index(88201, 44100)
    assert gaps(blocks)[0][0] == stream_index(44101, 44100)


def test_every_gap_is_seen_downstream_even_one_of_a_single_device_sample():
    blocks, _ = convert([DeviceBlock(0, noise(480), 48000), DeviceBlock(481, noise(480), 48000, lost_before=1)])
    assert len(gaps(blocks)) == 1
    assert_runs_on(blocks)


def test_a_channel_that_is_not_there_is_named():
    with pytest.raises(AudioError, match="channel 2 of a device with 2 channels"):
        ChannelConverter(2).push(DeviceBlock(0, noise(10, channels=2), 16000))


def test_only_bad_samples_give_no_block_but_count_as_received():
    blocks, converter = convert([DeviceBlock(0, np.full((1000, 1), np.nan, np.float32), 16000)])
    assert blocks == []
    assert converter.received == 1000
