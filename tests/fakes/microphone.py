"""A fake of the sounddevice module: it can overrun, refuse and go silent."""

from types import SimpleNamespace

import numpy as np


class PortAudioError(Exception):
    pass


class FakeStream:
    def __init__(self, **options):
        self.options = options
        self.callback = options["callback"]
        self.closed = False

    def start(self):
        pass

    def close(self):
        self.closed = True

    def deliver(self, n_frames, value, overflow=False):
        frames = np.full((n_frames, self.options["channels"]), value, np.float32)
        self.callback(frames.data, n_frames, None, SimpleNamespace(input_overflow=overflow))


class FakeSoundDevice:
    PortAudioError = PortAudioError

    def __init__(self, devices=None, refuse=False):
        self.devices = devices or [
            {"name": "HDMI", "max_input_channels": 0, "default_samplerate": 44100.0},
            {"name": "USB Audio: - (hw:7,0)", "max_input_channels": 2, "default_samplerate": 48000.0},
            {"name": "default", "max_input_channels": 32, "default_samplerate": 44100.0},
        ]
        self.refuse = refuse
        self.stream = None

    def query_devices(self):
        return self.devices

    def RawInputStream(self, **options):  # noqa: N802 - sounddevice's name
        if self.refuse:
            raise PortAudioError("Invalid sample rate")
        self.stream = FakeStream(**options)
        return self.stream
