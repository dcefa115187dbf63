"""The real `edged` commands as the demo runs them: in processes of their own, as a person would type them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from edged.demo.workspace import Workspace
from edged.errors import EdgedError

STOP_TIMEOUT_S = 10.0
START_TIMEOUT_S = 60.0
_POLL_S = 0.02


class DemoError(EdgedError):
    """A part of the demo could not run at all: its own message says why."""


@dataclass
class Enrolment:
    """`edged enroll` at work."""

    stream: str
    words: tuple[str, ...]
    process: subprocess.Popen[str]
    started: float = field(default_factory=time.monotonic)

    @property
    def command(self) -> str:
        """As typed."""
        return "edged enroll " + " ".join(self.words)

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def report(self) -> dict[str, Any]:
        """Wait for its end.

        Raises:
            DemoError: it failed.
        """
        output, errors = self.process.communicate()
        if self.process.returncode:
            raise DemoError(f"`{self.command}` failed: {errors.strip()}")
        return dict(json.loads(output))

    def end(self) -> None:
        """Stop it if it is still at work."""
        self.process.kill()
        self.process.communicate()

    @property
    def wall_s(self) -> float:
        """How long it has been at work."""
        return time.monotonic() - self.started


def start_enrolment(workspace: Workspace, stream: str, label: str, *options: str) -> Enrolment:
    """Enrol a folder of clips; on the daemon if it runs, on the state directly else."""
    folder = workspace.clips(stream, label)
    shown = ("--stream", stream, *options, "--clips", str(folder.relative_to(workspace.directory)))
    arguments = ["enroll", "--stream", stream, *options, "--clips", str(folder), "--json"]
    process = subprocess.Popen(
        _edged(arguments, workspace), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    return Enrolment(stream, shown, process)


class Daemon:
    """`edged run` in a session of its own, so that Ctrl-C reaches it through us alone; stopped on leaving."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Daemon:
        with self._workspace.log.open("wb") as log:
            self._process = subprocess.Popen(
                _edged(["run"], self._workspace),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait_until_publishing(self) -> None:
        """Return as soon as there is something to subscribe to.

        Raises:
            DemoError: the daemon ended, or took too long.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._workspace.events_socket.exists():
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"the daemon did not start within {START_TIMEOUT_S:.0f} s\n{self._last_words()}")
            time.sleep(_POLL_S)

    def check(self) -> None:
        """Raise DemoError if the daemon has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise DemoError(f"the daemon ended with {self._process.returncode}\n{self._last_words()}")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that does not listen."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> str:
        return "\n".join(self._workspace.log.read_text("utf-8", errors="replace").splitlines()[-8:])


def _edged(arguments: list[str], workspace: Workspace) -> list[str]:
    return [sys.executable, "-m", "edged.cli.main", *arguments, "--config", str(workspace.config)]
