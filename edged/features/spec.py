"""The base of every front end's parameters, and their digest.

A bundle's network only means something with exactly the front end it was trained with, so the manifest carries the
parameters in full and their digest, and a runtime that would compute something else refuses the bundle.
"""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, ConfigDict


class FeatureSpec(BaseModel):
    """Parameters of a front end: frozen, complete, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def digest(self) -> str:
        """sha256 of the parameters as canonical JSON."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
