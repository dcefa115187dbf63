"""Starting a capture child and holding its ends: frames, last words, life."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Protocol

from edged.capture.framing import Frame, FrameReader
from edged.capture.pcm import STDIN
from edged.capture.source import SourceSpec

LIST_DEVICES = "--list"
_LAST_LINES = 20
_LINE_BYTES = 400
_LISTENER_ENDS_IN_S = 1.0


class Child(Protocol):
    """A running capture child."""

    def read(self, timeout_s: float) -> Frame | None:
        """Its next frame, as :meth:`edged.capture.framing.FrameReader.read`."""
        ...

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    def end(self) -> str:
        """Make sure that it is gone; what it said last on standard error."""
        ...

    def terminate(self) -> None:
        """Ask it to end; from any thread."""
        ...


def child_command(*arguments: str) -> list[str]:
    """The command line of a capture child."""
    return [sys.executable, "-m", "edged.capture.child", *arguments]


def child_environment() -> dict[str, str]:
    """Our environment, with this very package first on the path (never the working directory), and one thread."""
    package_root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [package_root, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "OPENBLAS_NUM_THREADS": "1"}


class ChildProcess:
    """``python -m edged.capture.child`` as a :class:`Child`.

    It dies with the thread that made this object (that is how the kernel reads "parent").

    Args:
        end_timeout_s: how long it may take to end when asked; then it is killed.
    """

    def __init__(self, spec: SourceSpec, end_timeout_s: float = 1.0) -> None:
        self._end_timeout_s = end_timeout_s
        reads_stdin = spec.kind == "pcm" and spec.target == STDIN
        self._process = subprocess.Popen(
            child_command(str(os.getpid()), spec.to_json()),
            stdin=None if reads_stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=child_environment(),
        )
        assert self._process.stdout is not None  # noqa: S101 - by construction
        self._reader = FrameReader(self._process.stdout.fileno())
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._listener = threading.Thread(target=self._listen, name="capture-stderr", daemon=True)
        self._listener.start()

    def read(self, timeout_s: float) -> Frame | None:
        """Its next frame."""
        return self._reader.read(timeout_s)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def _listen(self) -> None:
        """Sound libraries chatter on standard error: keep the last lines, out of the log."""
        assert self._process.stderr is not None  # noqa: S101 - by construction
        while line := self._process.stderr.readline(_LINE_BYTES):
            self._lines.append(line.decode(errors="replace").strip())

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def end(self) -> str:
        """SIGTERM, then SIGKILL; its last line on standard error and how it ended."""
        self._process.terminate()
        try:
            self._process.wait(self._end_timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(_LISTENER_ENDS_IN_S)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None and not (pipe is self._process.stderr and self._listener.is_alive()):
                pipe.close()
        last = self._lines[-1] if self._lines else "no message"
        return f"exit status {self._process.returncode}, {last}"
