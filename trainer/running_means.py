"""Means over the steps of an epoch, which a checkpoint can hold half-way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class RunningMeans:
    """Sums of named scalars and how many there were.

    >>> means = RunningMeans()
    >>> means.add({"loss": torch.tensor(1.0)}); means.add({"loss": torch.tensor(2.0)})
    >>> means.values()
    {'loss': tensor(1.5000)}
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    n: int = 0

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Take in one step, without waiting for the device."""
        for name, value in values.items():
            self.sums[name] = value.detach().float() + self.sums.get(name, 0.0)
        self.n += 1

    def values(self) -> dict[str, Tensor]:
        """The means so far."""
        return {name: total / self.n for name, total in self.sums.items()}

    def state(self) -> dict[str, Any]:
        """Numbers for a checkpoint."""
        return {"sums": {name: float(total) for name, total in self.sums.items()}, "n": self.n}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> RunningMeans:
        """What `state` was taken of."""
        return cls({name: torch.tensor(total) for name, total in state["sums"].items()}, int(state["n"]))
