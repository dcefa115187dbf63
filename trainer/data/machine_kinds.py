"""Four kinds of machines, what each sounds like, and how each breaks.

A machine is drawn once (its geometry and resonances); a clip is rendered from it at an operating point, in a state of
wear, healthy or with a fault of some severity. Orders, pass frequencies and defect frequencies follow the mechanics:

    rotating   shaft orders, blade pass, gear mesh with sidebands, flow noise      fans, motors, gearboxes
    flow       turbulence, vane pass, pipe resonances                             pumps, compressors, turbines
    impulsive  strikes in a rhythm ringing through a body, exhaust hisses          valves, presses, punches
    sliding    trapezoidal motion: rolling noise and drive tones, end stops        sliders, conveyors, robots
"""

from __future__ import annotations

import numpy as np

from trainer.data.machine_base import Fault, Machine, OperatingPoint
from trainer.data.machines_cyclic import Impulsive, Sliding
from trainer.data.machines_steady import Flow, Rotating

__all__ = ["KINDS", "Fault", "Machine", "OperatingPoint", "draw_machine"]

KINDS: dict[str, type[Rotating] | type[Flow] | type[Impulsive] | type[Sliding]] = {
    "rotating": Rotating,
    "flow": Flow,
    "impulsive": Impulsive,
    "sliding": Sliding,
}


def draw_machine(kind: str, rng: np.random.Generator) -> Rotating | Flow | Impulsive | Sliding:
    """A new machine of one of `KINDS`.

    Raises:
        KeyError: unknown kind.
    """
    return KINDS[kind].draw(rng)
