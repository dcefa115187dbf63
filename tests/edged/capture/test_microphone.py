from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest

from edged.capture import microphone
from edged.capture.microphone import MicrophoneSource, choose, input_devices, stable_name
from edged.capture.source import AbsentDeviceError, SourceSpec
from edged.errors import DeviceError
from tests.fakes.microphone import FakeSoundDevice


@pytest.fixture
def binding():
    return FakeSoundDevice()


def open_microphone(binding, **options):
    return MicrophoneSource(SourceSpec("microphone", "USB", channels=1, **options), binding)


def test_opens_at_the_native_rate_and_hands_over_copies(binding):
    source = open_microphone(binding)
    binding.stream.deliver(960, 0.25)
    binding.stream.deliver(960, 0.5)
    first, second = islice(source.blocks(), 2)
    assert (source.format.rate_hz, source.format.channels) == (48000, 1)
    assert (first.sample, second.sample, float(second.frames[0, 0])) == (0, 960, 0.5)


def test_an_overrun_is_declared_as_lost_before_the_next_block(binding, monkeypatch):
    now_s = iter([10.0, 10.12])
    monkeypatch.setattr(microphone.time, "monotonic", lambda: next(now_s))
    source = open_microphone(binding)
    binding.stream.deliver(960, 0.0)
    binding.stream.deliver(960, 0.0, overflow=True)
    first, second = islice(source.blocks(), 2)
    assert (first.lost_before, second.lost_before) == (0, 5760 - 960)
    assert second.sample == first.end + second.lost_before


def test_a_full_handover_loses_whole_blocks_and_counts_them(binding):
    source = open_microphone(binding)
    for _ in range(microphone._HANDOVER_BLOCKS + 3):
        binding.stream.deliver(10, 0.0)
    taken = list(islice(source.blocks(), microphone._HANDOVER_BLOCKS))
    binding.stream.deliver(10, 0.0)
    after = next(source.blocks())
    assert sum(b.lost_before for b in taken) == 0
    assert after.lost_before == 30


def test_a_device_that_falls_silent_is_an_error(binding):
    with pytest.raises(DeviceError, match="stopped delivering"):
        next(open_microphone(binding, silent_after_s=0.01).blocks())


@pytest.mark.parametrize("n_frames", [0, -1, -(2**31), 960, 2**31])
def test_what_is_delivered_counts_and_not_what_the_sound_system_says_of_it(binding, n_frames):
    source = open_microphone(binding)
    binding.stream.callback(np.zeros(4, np.float32).data, n_frames, None, SimpleNamespace(input_overflow=False))
    binding.stream.callback(b"", n_frames, None, SimpleNamespace(input_overflow=True))
    first, second = islice(source.blocks(), 2)
    assert (first.sample, first.end, len(second.frames)) == (0, 4, 0)
    assert second.lost_before >= 1


@pytest.mark.parametrize("n_frames", [0, -1, 3, 2**31])
def test_what_is_lost_is_counted_by_what_came(binding, monkeypatch, n_frames):
    # a full hand-over and an overrun believed the number beside the data: billions of samples were declared lost
    source, quiet = open_microphone(binding), SimpleNamespace(input_overflow=False)
    for _ in range(microphone._HANDOVER_BLOCKS):
        binding.stream.deliver(1, 0.0)
    binding.stream.callback(np.zeros(10, np.float32).data, n_frames, None, quiet)
    taken = list(islice(source.blocks(), microphone._HANDOVER_BLOCKS))
    now_s = source._last_callback_s + 1000 / source.format.rate_hz
    monkeypatch.setattr(microphone.time, "monotonic", lambda: now_s)
    data = np.zeros(100, np.float32).data
    binding.stream.callback(data, n_frames, None, SimpleNamespace(input_overflow=True))
    assert sum(block.lost_before for block in taken) == 0
    assert next(source.blocks()).lost_before == 10 + 1000 - 100


@pytest.mark.parametrize("n_bytes", [1, 5, 4 * 3])
def test_half_a_frame_is_an_error_because_channels_would_change_places(binding, n_bytes):
    source = MicrophoneSource(SourceSpec("microphone", "USB", channels=2), binding)
    binding.stream.callback(bytes(n_bytes), 1, None, SimpleNamespace(input_overflow=False))
    with pytest.raises(DeviceError, match="not whole frames of 8"):
        next(source.blocks())


def test_a_device_is_found_by_name_whatever_its_number(binding):
    """Cards appear in another order after a restart: the index opened is that of the moment."""
    before = open_microphone(binding)
    index = binding.stream.options["device"]
    binding.devices.reverse()
    binding.devices.insert(0, {"name": "webcam", "max_input_channels": 1, "default_samplerate": 16000.0})
    after = open_microphone(binding)
    assert (index, binding.stream.options["device"]) == (1, 2)
    assert before.format == after.format


def test_a_device_that_refuses_is_an_error():
    with pytest.raises(DeviceError, match="refuses: Invalid sample rate"):
        open_microphone(FakeSoundDevice(refuse=True))


def test_stable_names_use_the_card_id(tmp_path):
    (tmp_path / "card7").mkdir()
    (tmp_path / "card7" / "id").write_text("Snowball\n")
    assert stable_name("USB Audio: - (hw:7,0)", tmp_path) == "hw:CARD=Snowball,DEV=0"
    assert stable_name("pulse", tmp_path) == "pulse"


def test_a_missing_or_ambiguous_name_lists_what_is_there(binding):
    devices = input_devices(binding)
    with pytest.raises(AbsentDeviceError, match=r"is not there; inputs now: USB Audio.*default"):
        choose("Snowball", devices)
    with pytest.raises(DeviceError, match="fits several"):
        choose("u", devices)
    assert choose("usb audio", devices)[0] == 1
