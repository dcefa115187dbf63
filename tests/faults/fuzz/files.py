"""Files and pipes that others may have written: configuration, key files, recordings, the frames of a capture child."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import soundfile
import yaml

from edged.capture.files import read_clip
from edged.capture.framing import Frame, FrameKind, FrameReader, encode
from edged.configfile import load_config
from edged.security.keys import new_pair, read_pair, write_pair
from tests.faults.fuzz.target import Target

PIPE_BYTES = 1 << 16
HEAD_BYTES = len(encode(Frame(FrameKind.ERROR)))


def config(directory):
    """`edged.yaml`: accepted or refused with every problem named."""
    path = directory / "edged.yaml"

    def run(data):
        path.write_bytes(data)
        config = load_config(path)
        assert config.events_endpoint
        assert config.streams_references_first is not None

    plant = {
        "devices": {
            "hall": {"source": "microphone", "name": "USB", "channels": 2},
            "f": {"source": "file", "path": "a"},
        },
        "streams": {
            "near": {"device": "hall", "channel": 1, "reference_stream": "far", "monitors": ["anomaly", "keyword"]},
            "far": {"device": "hall", "monitors": {"anomaly": {"threshold": 3.0, "scoring": {"embedding": "lof"}}}},
        },
        "control": {"bind": "tcp://127.0.0.1:9752", "directories": ["/srv/clips"]},
        "security": {"server_secret_key": "/k", "allowed_clients": "/a"},
        "clips": {"format": "wav", "max_age_days": 3},
    }
    example = Path(__file__).parents[3] / "deploy" / "edged.example.yaml"
    tricks = [b"a: &x [1, 2]\nb: *x\n<<: {c: 1}\n", b"!!python/name:os.system x", b"? {a: b}"]
    seeds = [yaml.safe_dump(plant).encode(), example.read_bytes(), *tricks]
    return Target(seeds, run, words=[*plant, *plant["streams"]["near"], "!!", "&a", "*a", "<<:", "? ", "- ", "|\n"])


def keys(directory):
    """A CURVE key file."""
    path = directory / "a.key_secret"
    write_pair(path, new_pair())
    seeds = [path.read_bytes()]

    def run(data):
        path.write_bytes(data)
        assert len(read_pair(path).secret) == 40

    return Target(seeds, run, words=["public-key = ", "secret-key = ", '"', "curve"])


def wav(directory):
    """A recording: whatever it says of itself, no more than a minute of it is taken into memory."""
    path = directory / "a.wav"

    def run(data):
        path.write_bytes(data)
        samples = read_clip(path, max_s=60.0)
        assert samples.dtype == np.float32
        assert 0 < len(samples) <= 60 * 16_000 + 1
        assert np.isfinite(samples).all()

    return Target(
        list(_recordings(directory)), run, words=["RIFF", "WAVE", "fmt ", "data", "fLaC", "OggS", "FORM", "AIFF"]
    )


def _recordings(directory):
    sound = 0.1 * np.random.default_rng(1).standard_normal((900, 2))
    for subtype in ("PCM_16", "PCM_24", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM"):
        yield _written(directory, sound, "WAV", subtype)
    for container in ("FLAC", "OGG", "AIFF", "W64", "RF64", "MP3"):
        yield _written(directory, sound, container, None)


def _written(directory, sound, container, subtype):
    soundfile.write(directory / "seed", sound, 16000, format=container, subtype=subtype)
    return (directory / "seed").read_bytes()


def framing(_directory):
    """What comes out of a capture child's pipe."""
    audio = np.linspace(-1, 1, 32, dtype="<f4").tobytes()
    frames = [
        Frame(FrameKind.FORMAT, 16000, 2), Frame(FrameKind.BLOCK, 16000, 2, 0, 0, 0, audio),
        Frame(FrameKind.BLOCK, 16000, 2, 16, 3, 0, audio), Frame(FrameKind.END, 16000, 2, 35),
        Frame(FrameKind.ERROR, payload=b"gone"),
    ]  # fmt: skip
    seeds = [b"".join(encode(frame) for frame in frames), *(encode(frame) for frame in frames)]

    def run(data):
        end, start = os.pipe()
        try:
            os.write(start, _with_check_sums(data[:PIPE_BYTES]))
        finally:
            os.close(start)
        try:
            reader = FrameReader(end)
            while (frame := reader.read(1.0)) is not None:
                _use(frame)
        finally:
            os.close(end)

    return Target(seeds, run, words=["EDG1"])


def _with_check_sums(data):
    """Every frame with the check sum that it should have, as far as its length can be believed."""
    whole, at = bytearray(data), 0
    while at + HEAD_BYTES <= len(whole):
        (length,) = struct.unpack_from("<I", whole, at + HEAD_BYTES - 8)
        end = at + HEAD_BYTES + length
        checked = bytes(whole[at : at + HEAD_BYTES - 4]) + bytes(whole[at + HEAD_BYTES : end])
        struct.pack_into("<I", whole, at + HEAD_BYTES - 4, zlib.crc32(checked))
        at = end
    return bytes(whole)


def _use(frame):
    if frame.kind is FrameKind.BLOCK:
        assert frame.audio().shape[1] == frame.channels
    elif frame.kind is FrameKind.ERROR:
        assert isinstance(frame.text(), str)
