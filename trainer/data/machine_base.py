"""What every synthetic machine has: an operating point, faults, and a way to be heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edged.flow import Float32Array, Float64Array


@dataclass(frozen=True)
class OperatingPoint:
    """How the machine is run: `speed` and `load` relative to nominal (about 0.6 to 1.4)."""

    speed: float = 1.0
    load: float = 1.0


@dataclass(frozen=True)
class Fault:
    """What is broken: a name from the machine's `FAULTS`, and how badly (0 = healthy, 1 = severe)."""

    name: str
    severity: float


class Machine(Protocol):
    """Anything that can be heard healthy and broken."""

    @property
    def FAULTS(self) -> tuple[str, ...]:  # noqa: N802 - a constant of each kind
        """Names of the faults it can have."""

    def render(
        self, n_samples: int, point: OperatingPoint, fault: Fault | None, rng: np.random.Generator
    ) -> Float32Array:
        """Dry sound of RMS about 1 when healthy: float32 (n_samples,)."""


def severity(fault: Fault | None, name: str) -> float:
    """How badly the named thing is broken; 0 when something else is, or nothing."""
    return fault.severity if fault is not None and fault.name == name else 0.0


def decaying(rng: np.random.Generator, n: int, slope: float) -> Float64Array:
    """Random amplitudes of orders 1 to n that fall by a power of the order: (n,)."""
    return np.asarray(rng.uniform(0.2, 1.0, n) / np.arange(1, n + 1) ** slope)
