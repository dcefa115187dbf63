import io
import os
import select
import subprocess
import sys

import numpy as np
import soundfile

from edged.capture.child import capture
from edged.capture.framing import PERMANENT, FrameKind, FrameReader
from edged.capture.source import SourceSpec
from edged.capture.spawn import child_command, child_environment

HEAVY = ("zmq", "onnxruntime", "pydantic", "sqlite3", "torch", "typer", "rich", "asyncio")


def test_the_child_imports_nothing_heavy():
    code = f"import sys, edged.capture.child; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          env=child_environment())  # fmt: skip
    assert done.stdout.strip() == "[]"


def frames_in(data, tmp_path):
    path = tmp_path / "frames"
    path.write_bytes(data)
    with path.open("rb") as file:
        reader, frames = FrameReader(file.fileno()), []
        while frame := reader.read(5.0):
            frames.append(frame)
    return frames


def test_a_file_becomes_format_blocks_end(tmp_path):
    samples = np.linspace(-0.5, 0.5, 1000, dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    out = io.BytesIO()
    assert capture(SourceSpec("file", str(tmp_path / "a.wav"), speed=0), out) == 0
    first, *blocks, last = frames_in(out.getvalue(), tmp_path)
    assert (first.kind, first.rate_hz, first.channels) == (FrameKind.FORMAT, 16000, 1)
    assert (last.kind, last.sample) == (FrameKind.END, 1000)
    np.testing.assert_array_equal(np.concatenate([b.audio()[:, 0] for b in blocks]), samples)


def test_a_missing_file_is_told_as_permanent(tmp_path):
    out = io.BytesIO()
    assert capture(SourceSpec("file", str(tmp_path / "no.wav")), out) == 1
    (error,) = frames_in(out.getvalue(), tmp_path)
    assert (error.kind, error.flags) == (FrameKind.ERROR, PERMANENT)
    assert "no.wav: no such file" in error.text()


def test_the_child_dies_with_its_parent(tmp_path):
    """The parent of the child is killed; the pipe that only the child still holds then closes."""
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    spec = SourceSpec("file", str(tmp_path / "a.wav"), speed=1.0, loop=True)
    parent = (
        "import os, subprocess, sys\n"
        "subprocess.Popen([*sys.argv[2:-1], str(os.getpid()), sys.argv[-1]], pass_fds=[int(sys.argv[1])])\n"
        "sys.stdin.read()\n"
    )
    read_fd, write_fd = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", parent, str(write_fd), *child_command(), spec.to_json()],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[write_fd], env=child_environment(),
    )  # fmt: skip
    os.close(write_fd)
    assert process.stdout.read(4) == b"EDG1"
    process.kill()
    process.wait()
    ready, _, _ = select.select([read_fd], [], [], 30.0)
    assert ready
    assert os.read(read_fd, 1) == b""
    process.communicate()
    os.close(read_fd)
