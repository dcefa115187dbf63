"""What every embedder promises, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edged.flow import Embedding, Segment


class Embedder(Protocol):
    """Turns segments into embeddings; one instance belongs to one thread."""

    @property
    def provider(self) -> str:
        """What runs the model, for `status`: ``CPUExecutionProvider``, ``TensorRT 10.3``, ``none``."""

    def embed(self, segments: Sequence[Segment]) -> list[Embedding]:
        """One embedding per segment, in order; batch-mates never change a result beyond the stated tolerance."""
