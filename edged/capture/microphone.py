"""Microphones through PortAudio: the only module that knows sounddevice, and it lives in the capture child.

Devices are asked for by the stable name of their card (``hw:CARD=Device,DEV=0``), by PortAudio's name or a part of it;
never by an index, which changes with the order in which cards appear.
"""

from __future__ import annotations

import queue
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edged.capture.framing import MAX_CHANNELS
from edged.capture.source import AbsentDeviceError, AudioFormat, DeviceBlock, InputDevice, SourceSpec
from edged.errors import DeviceError

DEFAULT_DEVICE = "default"
_HANDOVER_BLOCKS = 500
_CARDS = Path("/proc/asound")


def stable_name(name: str, cards: Path = _CARDS) -> str:
    """PortAudio's name with the card's number replaced by its id, where it is a sound card."""
    match = re.search(r"\(hw:(\d+),(\d+)\)", name)
    if match is None:
        return name
    identity = cards / f"card{match[1]}" / "id"
    return f"hw:CARD={identity.read_text().strip()},DEV={match[2]}" if identity.is_file() else name


def input_devices(sounddevice: Any) -> list[tuple[int, InputDevice]]:
    """All inputs with PortAudio's index of the moment."""
    return [
        (
            index,
            InputDevice(
                info["name"], stable_name(info["name"]), info["max_input_channels"], int(info["default_samplerate"])
            ),
        )
        for index, info in enumerate(sounddevice.query_devices())
        if info["max_input_channels"] > 0
    ]


def choose(wanted: str, devices: list[tuple[int, InputDevice]]) -> tuple[int, InputDevice]:
    """The one device meant by a stable name, a full name or a part of a name.

    Raises:
        AbsentDeviceError: naming the inputs there are, if none fits.
        DeviceError: the same, if several do.
    """
    exact = [found for found in devices if wanted in {found[1].name, found[1].stable_name}]
    partial = [found for found in devices if wanted.lower() in found[1].name.lower()]
    fitting = exact[:1] or partial
    if len(fitting) == 1:
        return fitting[0]
    present = ", ".join(found[1].stable_name for found in devices) or "none at all"
    if fitting:
        raise DeviceError(f"microphone '{wanted}' fits several inputs; inputs now: {present}", fix="see edged devices")
    raise AbsentDeviceError(f"microphone '{wanted}' is not there; inputs now: {present}", fix="see edged devices")


def load_sounddevice() -> Any:
    """The binding to PortAudio.

    Raises:
        DeviceError: naming what to install, if it is missing.
    """
    try:
        import sounddevice  # noqa: PLC0415 - absent on machines that only read files
    except ImportError as error:
        raise DeviceError("the sounddevice package is missing", fix="pip install 'edged[microphone]'") from error
    except OSError as error:
        raise DeviceError("the PortAudio library is missing", fix="apt install libportaudio2") from error
    return sounddevice


class MicrophoneSource:
    """A PortAudio input at the device's own rate.

    The callback copies, looks at the status and hands over, nothing else. Blocks that find the hand-over full, and
    overruns that PortAudio reports, are declared lost with the next block.

    Args:
        spec: with ``target`` the device's name.
        binding: the sounddevice module, or a fake of it.

    Raises:
        DeviceError: if the device is not there or refuses.
    """

    def __init__(self, spec: SourceSpec, binding: Any = None) -> None:
        self._binding = binding or load_sounddevice()
        index, device = choose(spec.target or DEFAULT_DEVICE, input_devices(self._binding))
        channels = spec.channels or min(device.channels, MAX_CHANNELS)
        self.format = AudioFormat(spec.rate_hz or device.rate_hz, channels)
        # Not SimpleQueue: that of Python 3.11 waits for ever when it is woken in vain and its time is up meanwhile.
        self._handover: queue.Queue[tuple[bytes, int]] = queue.Queue()
        self._silent_after_s = spec.silent_after_s
        self._lost_frames = 0
        self._last_callback_s = 0.0
        self._closed = False
        self._stream = self._open(index, device, spec.block_s)

    def _open(self, index: int, device: InputDevice, block_s: float) -> Any:
        try:
            stream = self._binding.RawInputStream(
                device=index,
                samplerate=self.format.rate_hz,
                channels=self.format.channels,
                blocksize=max(1, round(block_s * self.format.rate_hz)),
                dtype="float32",
                callback=self._callback,
            )
            stream.start()
        except self._binding.PortAudioError as error:
            raise DeviceError(f"microphone '{device.stable_name}' refuses: {error}", fix="see edged devices") from error
        return stream

    def _callback(self, data: Any, _n_frames: int, _time: Any, status: Any) -> None:
        now_s, samples = time.monotonic(), bytes(data)
        n_frames = len(samples) // (4 * self.format.channels)  # what came, whatever the sound system says of it
        if status.input_overflow:
            elapsed_frames = round((now_s - self._last_callback_s) * self.format.rate_hz) - n_frames
            self._lost_frames += max(1, elapsed_frames if self._last_callback_s else 0)
        self._last_callback_s = now_s
        if self._handover.qsize() >= _HANDOVER_BLOCKS:
            self._lost_frames += n_frames
            return
        self._handover.put((samples, self._lost_frames))
        self._lost_frames = 0

    def blocks(self) -> Iterator[DeviceBlock]:
        """What the device gives, for ever.

        Raises:
            DeviceError: when nothing comes any more: the device is gone. Also for a read of parts of frames: nobody
                knows where the channels are after it.
        """
        sample, frame_bytes = 0, 4 * self.format.channels
        while not self._closed:
            try:
                data, lost = self._handover.get(timeout=self._silent_after_s)
            except queue.Empty:
                raise DeviceError("the microphone stopped delivering", fix="check its cable") from None
            if len(data) % frame_bytes:
                raise DeviceError(f"the microphone delivered {len(data)} bytes: not whole frames of {frame_bytes}")
            frames = np.frombuffer(data, np.float32).reshape(-1, self.format.channels)
            block = DeviceBlock(sample + lost, frames, self.format.rate_hz, lost_before=lost)
            yield block
            sample = block.end

    def close(self) -> None:
        """Let the device go."""
        self._closed = True
        self._stream.close()
