"""Whether the computer was slowed down or disturbed while it was measured: two looks, and what lies between."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edged.doctor.finding import Host

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_BUSY = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq of /proc/stat
_STEAL = 7
_COOLED = re.compile(r"cpu|gpu|processor|devfreq", re.IGNORECASE)


@dataclass(frozen=True)
class Look:
    """The counters at one moment.

    Attributes:
        busy_s, stolen_s: seconds of all cores since the start: in use; wanted, but given to another virtual machine.
        own_s: seconds of processor time of this process and those it waited for.
        waited_s: how long this process was ready to run and had no core; None where the kernel does not count it.
        throttled: how often each counter of the kernel says that a core was slowed down.
        cooling: state of every cooling device of a processor; 0 = not at work.
        celsius: of every thermal zone.
        mhz: of every core.
    """

    at_s: float
    busy_s: float
    stolen_s: float
    own_s: float
    waited_s: float | None
    throttled: Mapping[str, int] = field(default_factory=dict)
    cooling: Mapping[str, int] = field(default_factory=dict)
    celsius: Mapping[str, float] = field(default_factory=dict)
    mhz: Mapping[str, float] = field(default_factory=dict)


def look(host: Host) -> Look:
    """Read everything that this computer tells; much of it is missing on many."""
    stat = _text(host.root / "proc/stat").partition("\n")[0].split()[1:]
    ticks = [int(word) for word in stat] + [0] * 10
    waits = _text(host.root / "proc/self/schedstat").split()
    cpus = host.root / "sys/devices/system/cpu"
    thermal = host.root / "sys/class/thermal"
    return Look(
        time.monotonic(),
        sum(ticks[column] for column in _BUSY) / _TICKS_PER_S,
        ticks[_STEAL] / _TICKS_PER_S,
        sum(os.times()[:4]),
        int(waits[1]) / 1e9 if len(waits) > 1 else None,
        _numbers(cpus, "cpu*/thermal_throttle/*_throttle_count"),
        {
            zone: state
            for zone, state in _numbers(thermal, "cooling_device*/cur_state").items()
            if _COOLED.search(_text(thermal / Path(zone).parent / "type"))
        },
        {
            _text(thermal / Path(zone).parent / "type") or zone: value / 1000
            for zone, value in _numbers(thermal, "thermal_zone*/temp").items()
        },
        {core.split("/")[0]: khz / 1000 for core, khz in _numbers(cpus, "cpu*/cpufreq/scaling_cur_freq").items()},
    )


def between(before: Look, after: Look) -> dict[str, Any]:
    """What happened between two looks."""
    took_s = max(after.at_s - before.at_s, 1e-9)
    own_s = after.own_s - before.own_s
    throttled = {name: n - before.throttled.get(name, 0) for name, n in after.throttled.items()}
    cooled = sorted(name for name, state in after.cooling.items() if max(state, before.cooling.get(name, 0)) > 0)
    waited = None if before.waited_s is None or after.waited_s is None else after.waited_s - before.waited_s
    return {
        "throttle_counts": {name: n for name, n in throttled.items() if n > 0},
        "cooling_at_work": cooled,
        "hottest_celsius": {"before": _most(before.celsius), "after": _most(after.celsius)},
        "core_mhz": {"before": _mean(before.mhz), "after": _mean(after.mhz)},
        "others_busy_cores": round(max(0.0, after.busy_s - before.busy_s - own_s) / took_s, 2),
        "stolen_percent": round(100 * (after.stolen_s - before.stolen_s) / took_s, 1),
        "waited_percent": None if waited is None else round(100 * waited / took_s, 1),
    }


def _numbers(directory: Path, pattern: str) -> dict[str, int]:
    """Files that hold a number each, by their path below the directory."""
    texts = {str(path.relative_to(directory)): _text(path) for path in sorted(directory.glob(pattern))}
    return {name: int(text) for name, text in texts.items() if text.lstrip("-").isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _most(values: Mapping[str, float]) -> float | None:
    return round(max(values.values()), 1) if values else None


def _mean(values: Mapping[str, float]) -> float | None:
    return round(sum(values.values()) / len(values)) if values else None
