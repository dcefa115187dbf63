from pathlib import Path

import pytest

from edged.capture.lifecycle import CaptureState
from edged.capture.source import SourceSpec
from edged.capture.supervisor import CaptureChange
from edged.config import CaptureSettings, FileSettings, MicrophoneSettings, PcmSettings
from edged.runtime.device import Device, source_spec
from tests.fakes.monitor import fake_stream

CAPTURE = CaptureSettings(block_ms=40)


@pytest.mark.parametrize(
    ("settings", "spec"),
    [
        (
            MicrophoneSettings(source="microphone", name="hw:CARD=X"),
            SourceSpec("microphone", "hw:CARD=X", 0, 2, block_s=0.04, realtime_priority=10),
        ),
        (
            MicrophoneSettings(source="microphone", rate_hz=48000, channels=4),
            SourceSpec("microphone", "default", 48000, 4, block_s=0.04, realtime_priority=10),
        ),
        (
            FileSettings(source="file", path=Path("/a.wav"), loop=True, speed=2.0),
            SourceSpec("file", "/a.wav", speed=2.0, loop=True, block_s=0.04),
        ),
        (
            PcmSettings(source="pcm", encoding="f32le", rate_hz=44100, channels=2),
            SourceSpec("pcm", "-", 44100, 2, sample_format="f32le", block_s=0.04),
        ),
        (
            PcmSettings(source="pcm", path=Path("/run/card")),
            SourceSpec("pcm", "/run/card", 16000, 1, reopens=True, block_s=0.04),
        ),
        (
            PcmSettings(source="pcm", path=Path("/run/card"), reopen=False),
            SourceSpec("pcm", "/run/card", 16000, 1, block_s=0.04),
        ),
    ],
)
def test_a_device_of_the_configuration_becomes_what_the_child_opens(settings, spec):
    assert source_spec(settings, CAPTURE, channels=2) == spec
    assert SourceSpec.from_json(spec.to_json()) == spec


def test_a_run_that_ends_with_its_sources_waits_for_nobody():
    settings = PcmSettings(source="pcm", path=Path("/run/card"))
    assert not source_spec(settings, CAPTURE, 1, has_an_end=True).reopens


def test_a_device_that_keeps_failing_is_told_once_and_its_return_too():
    """Restart attempts every 30 s must not fill the journal."""
    announced = []
    streams = [fake_stream("a"), fake_stream("b")]
    device = Device("mic", SourceSpec("microphone", "x"), streams, CAPTURE, announced.append)
    for _ in range(100):
        device.changed(CaptureChange(CaptureState.STARTING))
        device.changed(CaptureChange(CaptureState.WAITING, "not there", 30.0))
    device.changed(CaptureChange(CaptureState.RUNNING, "48000 Hz, 2 channels"))
    told = [(change.stream, change.state, change.reason) for change in announced]
    assert told == [
        ("a", "waiting", "not there"),
        ("b", "waiting", "not there"),
        ("a", "running", "48000 Hz, 2 channels"),
        ("b", "running", "48000 Hz, 2 channels"),
    ]
