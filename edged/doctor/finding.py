"""What a check found, and what it may look at."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Level = Literal["ok", "note", "wrong"]
_RUN_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about the installation.

    Attributes:
        check: what was looked at.
        level: ``wrong`` = edged does not work as it should; ``note`` = it does, but somebody should know.
        fix: what to do about it; empty where there is nothing to do.
    """

    check: str
    level: Level
    text: str
    fix: str = ""


def ok(check: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(check, "ok", text)


def note(check: str, text: str, fix: str = "") -> Finding:
    """Worth knowing."""
    return Finding(check, "note", text, fix)


def wrong(check: str, text: str, fix: str) -> Finding:
    """To be mended."""
    return Finding(check, "wrong", text, fix)


def run_program(command: Sequence[str]) -> tuple[int, str] | None:
    """Exit code and output of a program of the system; None: it is not there, or does not end."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_RUN_WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.returncode, done.stdout.decode(errors="replace")


@dataclass(frozen=True)
class Host:
    """The computer that is looked at.

    Args:
        root: where its files are.
        run: runs a program of the system, as `run_program`.
    """

    root: Path = Path("/")
    run: Callable[[Sequence[str]], tuple[int, str] | None] = run_program
