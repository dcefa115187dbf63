"""What other processes use, read from /proc: processor time, memory, children."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PARENT, _USER_TIME, _SYSTEM_TIME = 1, 11, 12  # of /proc/<pid>/stat, counted from the state


@dataclass(frozen=True)
class Memory:
    """A process's memory in MiB.

    Attributes:
        resident: in use now; `peak` the most there ever was.
        private: of it, what it shares with nobody: what one more such process takes.
    """

    resident: float
    peak: float
    private: float


def children_of(pid: int, proc: Path = PROC) -> list[int]:
    """Process ids."""
    found = ((int(path.parent.name), _stat(path)) for path in proc.glob("[0-9]*/stat"))
    return sorted(child for child, stat in found if stat and int(stat[_PARENT]) == pid)


def cpu_s(pids: Iterable[int], proc: Path = PROC) -> float:
    """Processor time used so far, in nanoseconds where the kernel counts that finely; processes that ended: none."""
    return sum(_cpu_s(pid, proc) for pid in pids)


def _cpu_s(pid: int, proc: Path) -> float:
    fine = [_text(path).split() for path in proc.glob(f"{pid}/task/*/schedstat")]
    if fine and all(fine):
        return sum(int(words[0]) for words in fine) / 1e9
    stat = _stat(proc / str(pid) / "stat")
    return (int(stat[_USER_TIME]) + int(stat[_SYSTEM_TIME])) / _TICKS_PER_S if stat else 0.0


def memory(pid: int, proc: Path = PROC) -> Memory:
    """Of one process; nothing of one that ended."""
    status = _kib(proc / str(pid) / "status")
    shares = _kib(proc / str(pid) / "smaps_rollup")
    resident = status.get("VmRSS", 0)
    private = shares.get("Private_Clean", 0) + shares.get("Private_Dirty", 0) if shares else resident
    return Memory(resident / 1024, status.get("VmHWM", resident) / 1024, private / 1024)


def _stat(path: Path) -> list[str]:
    """Its words after the command's name, which may hold anything."""
    return _text(path).rpartition(")")[2].split()


def _kib(path: Path) -> dict[str, int]:
    lines = (line.split() for line in _text(path).splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) == 3 and words[2] == "kB"}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
