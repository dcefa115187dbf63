"""How much energy was used, where the computer measures it: by powercap (RAPL) or by `tegrastats` on a Jetson."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edged.doctor.finding import Host

_TEGRASTATS = ("tegrastats", "--interval", "100")
_RAIL = re.compile(r"(?<!\S)([A-Z][A-Z0-9_]+) (\d+)(?:mW)?/\d+(?:mW)?(?!\S)")
_TOTAL_RAILS = ("VDD_IN", "POM_5V_IN")
_PART_OF_ANOTHER = "VDDQ"
"""Memory of AGX Orin: fed by the 5 V rail, which is listed too."""
_FIRST_LINE_S = 3.0
_ENDS_IN_S = 2.0


@dataclass
class Span:
    """Some time, and what was used in it.

    Attributes:
        joules: None while it lasts, and where nothing was told.
    """

    seconds: float = 0.0
    joules: float | None = None

    @property
    def watts(self) -> float | None:
        """On average."""
        return None if self.joules is None or not self.seconds else self.joules / self.seconds


class Meter(Protocol):
    """Measures what the computer uses.

    Attributes:
        source: who tells, and of what.
    """

    source: str

    @property
    def joules(self) -> float | None:
        """Used since some moment in the past; None if nothing is told at present."""

    def close(self) -> None:
        """Stop measuring."""


@contextmanager
def measured(meter: Meter | None) -> Iterator[Span]:
    """A span; without a meter it knows its duration only."""
    span, began_s, before = Span(), time.monotonic(), meter.joules if meter else None
    try:
        yield span
    finally:
        span.seconds = time.monotonic() - began_s
        after = meter.joules if meter else None
        span.joules = None if before is None or after is None else after - before


def find_meter(host: Host) -> tuple[Meter | None, str]:
    """What measures here, and why nothing does."""
    zones, refused = powercap_zones(host)
    if zones:
        return Powercap(zones), ""
    if shutil.which(_TEGRASTATS[0]):
        meter = Tegrastats()
        if meter.joules is not None:
            return meter, ""
        meter.close()
        return None, "tegrastats tells no power"
    return None, refused or "neither powercap nor tegrastats here"


# -- powercap ----------------------------------------------------------------------------------------------------------


def powercap_zones(host: Host) -> tuple[list[Path], str]:
    """Zones of whole processors, and why there are none."""
    zones = sorted((host.root / "sys/class/powercap").glob("*:[0-9]*"))
    packages = [zone for zone in zones if zone.name.count(":") == 1 and (zone / "energy_uj").exists()]
    for zone in packages:
        try:
            int((zone / "energy_uj").read_text("ascii"))
        except PermissionError:
            return [], "only root may read the energy: sudo edged bench"
        except (OSError, ValueError):
            return [], f"{zone.name} tells no energy"
    # of the same processors tell the memory-mapped zones once more, and the whole platform's (psys)
    own = [zone for zone in packages if "mmio" not in zone.name and (zone / "name").read_text("utf-8")[:4] != "psys"]
    return own or packages, ""


class Powercap:
    """The kernel's counters of the processors' energy, which start over at their range."""

    def __init__(self, zones: Iterable[Path]) -> None:
        self._zones = list(zones)
        names = ", ".join((zone / "name").read_text("utf-8").strip() for zone in self._zones)
        self.source = f"powercap ({names})"
        self._ranges = [int((zone / "max_energy_range_uj").read_text("ascii")) for zone in self._zones]
        self._last = self._read()
        self._used_uj = 0
        self._reading = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="powercap", daemon=True).start()

    @property
    def joules(self) -> float | None:
        """Used since this object was made."""
        with self._reading:
            now = self._read()
            for before, after, most in zip(self._last, now, self._ranges, strict=True):
                self._used_uj += after - before if after >= before else after - before + most
            self._last = now
            return self._used_uj / 1e6

    def close(self) -> None:
        """Stop looking for counters that start over."""
        self._closed.set()

    def _watch(self) -> None:
        """A counter starts over within a minute on a large processor."""
        while not self._closed.wait(10.0):
            _ = self.joules

    def _read(self) -> list[int]:
        return [int((zone / "energy_uj").read_text("ascii")) for zone in self._zones]


# -- tegrastats --------------------------------------------------------------------------------------------------------


class Lines(Protocol):
    """A running program and its lines."""

    def __iter__(self) -> Iterator[str]:
        """Its standard output."""

    def end(self) -> None:
        """Make it end."""


class Program:
    """A program of the system that goes on printing."""

    def __init__(self, command: Iterable[str]) -> None:
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            errors="replace",
        )  # fmt: skip

    def __iter__(self) -> Iterator[str]:
        assert self._process.stdout is not None  # noqa: S101 - by construction
        yield from self._process.stdout

    def end(self) -> None:
        """SIGTERM, then SIGKILL."""
        self._process.terminate()
        try:
            self._process.wait(_ENDS_IN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Tegrastats:
    """A Jetson's power, as `tegrastats` prints it ten times a second, summed up over time.

    Args:
        start: starts the program; a fake in tests.
        now_s: monotonic seconds.
    """

    def __init__(
        self,
        start: Callable[[Iterable[str]], Lines] = Program,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now_s = now_s
        self._joules, self._watts, self._at_s = 0.0, 0.0, 0.0
        self._is_told = threading.Event()
        self._adding = threading.Lock()
        self.source = "tegrastats"
        self._program = start(_TEGRASTATS)
        self._thread = threading.Thread(target=self._read, name="tegrastats", daemon=True)
        self._thread.start()
        self._is_told.wait(_FIRST_LINE_S)

    @property
    def joules(self) -> float | None:
        """Used since the first line."""
        if not self._is_told.is_set():
            return None
        with self._adding:
            self._add_up()
            return self._joules

    def close(self) -> None:
        """End the program."""
        self._program.end()
        self._thread.join(_ENDS_IN_S)

    def _read(self) -> None:
        for line in self._program:
            rails = module_rails(line)
            if not rails:
                continue
            with self._adding:
                if self._is_told.is_set():
                    self._add_up()
                self._at_s, self._watts = self._now_s(), sum(rails.values()) / 1000
            self.source = f"tegrastats ({' + '.join(rails)})"
            self._is_told.set()

    def _add_up(self) -> None:
        now_s = self._now_s()
        self._joules += self._watts * (now_s - self._at_s)
        self._at_s = now_s


def module_rails(line: str) -> dict[str, int]:
    """The rails that make up a module's power, in mW, from a line of `tegrastats`.

    >>> module_rails("RAM 2448/7620MB (lfb 4x4MB) CPU [1%@729] VDD_IN 4787mW/4790mW VDD_SOC 1396mW/1396mW")
    {'VDD_IN': 4787}
    >>> module_rails("RAM 1/2MB VDD_GPU_SOC 3200mW/3200mW VDD_CPU_CV 800mW/800mW VIN_SYS_5V0 4100mW/4100mW")
    {'VDD_GPU_SOC': 3200, 'VDD_CPU_CV': 800, 'VIN_SYS_5V0': 4100}
    >>> module_rails("GR3D_FREQ 0% POM_5V_IN 2532/2532 POM_5V_GPU 41/41 POM_5V_CPU 495/495")
    {'POM_5V_IN': 2532}
    """
    rails = {name: int(milliwatts) for name, milliwatts in _RAIL.findall(line)}
    whole = next((name for name in _TOTAL_RAILS if name in rails), None)
    if whole:
        return {whole: rails[whole]}
    return {name: power for name, power in rails.items() if not name.startswith(_PART_OF_ANOTHER)}
