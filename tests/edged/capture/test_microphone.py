from itertools import islice

import pytest

from edged.capture import microphone
from edged.capture.microphone import MicrophoneSource, choose, input_devices, stable_name
from edged.capture.source import SourceSpec
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


def test_a_device_that_falls_silent_is_an_error(binding, monkeypatch):
    monkeypatch.setattr(microphone, "_SILENT_AFTER_S", 0.01)
    with pytest.raises(DeviceError, match="stopped delivering"):
        next(open_microphone(binding).blocks())


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
    with pytest.raises(DeviceError, match=r"is not there; inputs now: USB Audio.*default"):
        choose("Snowball", devices)
    with pytest.raises(DeviceError, match="fits several"):
        choose("u", devices)
    assert choose("usb audio", devices)[0] == 1
