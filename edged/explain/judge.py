"""A bank's judgement of one segment, with the parts of the score and the reference it is most like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edged.embed.protocol import Embedder
from edged.flow import Embedding, Segment
from edged.references.anomaly import PIECES_PER_CLIP, AnomalyBank


@dataclass(frozen=True)
class Judge:
    """Scores segments by the runtime's own embedder and a bank's own scorer."""

    bank: AnomalyBank
    embedder: Embedder

    def score(self, segment: Segment) -> float:
        """Anomaly score of a segment.

        Raises:
            BundleError: the model gives what is no vector.
        """
        return self.bank.scorer.score(self.embedding(segment).vectors).anomaly_score

    def embedding(self, segment: Segment) -> Embedding:
        """Of one segment."""
        return self.embedder.embed([segment])[0]

    def nearest(self, embedding: Embedding) -> dict[str, Any]:
        """The most similar reference: its clip, its domain, and when it was enrolled."""
        row = self.bank.scorer.score(embedding.vectors).reference_index
        clips = next(iter(self.bank.references.values())).clips
        record = self.bank.clips[int(clips[row]) // PIECES_PER_CLIP]
        return {"clip": record.name, "domain": record.label, "enrolled_at": record.enrolled_at}

    def parts(self, embedding: Embedding) -> Mapping[str, float]:
        """What every representation adds to the score; they add up to it."""
        parts = self.bank.scorer.parts
        total = sum(part.weight for part in parts)
        distances = {part.name: part.backend.distance(embedding.vectors[part.name][np.newaxis]) for part in parts}
        return {p.name: float(p.weight * p.normalised(distances[p.name])[0] / total) for p in parts}
