"""What every monitor is, and what all have in common before the embedder: features, and the books."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from edged.accounting import Accounting
from edged.embed.bundle import Bundle
from edged.features.health import InputVerdict, input_verdict
from edged.flow import Block, Embedding, InputFacts, Outcome, Segment
from edged.references.anomaly import AnomalyBank
from edged.references.keyword import KeywordBank


class Monitor(Protocol):
    """One detector on one stream; belongs to one thread."""

    name: str
    stream: str
    bundle: Bundle
    accounting: Accounting

    @property
    def bank_version(self) -> int:
        """Version of the references in use; 0 while nothing is enrolled."""

    @property
    def advice(self) -> str:
        """What the operator should do about the references in use; empty if nothing."""

    def judge_input(self, facts: InputFacts) -> InputVerdict:
        """Whether a stretch of the input is sound at all; from any thread."""

    def push(self, block: Block) -> list[Segment]:
        """Segments that this block completes."""

    def flush(self) -> list[Segment]:
        """End of the signal: the last segments."""

    def accept(self, embedding: Embedding) -> Outcome:
        """Score an embedded segment and decide; embeddings come in the order of their segments."""

    def finish(self) -> Outcome:
        """After the last embedding: what was still waiting for a better candidate."""

    def use_bank(self, bank: AnomalyBank | KeywordBank | None) -> Outcome:
        """Take other references from the next embedding on; what was decided so far stands.

        Returns:
            what ends by it: without references nothing would ever clear an alarm that lasts.

        Raises:
            StateError: references of the other kind.
        """


class Featuriser(Protocol):
    """A front end: pure, and exact for any cutting of the signal."""

    def push(self, block: Block) -> list[Segment]:
        """Segments that this block completes; nothing spans a gap."""

    def flush(self) -> list[Segment]:
        """End of the signal: the last segments."""


class FrontHalf(ABC):
    """What both monitors do before the embedder: features, and the books."""

    def __init__(self, stream: str, bundle: Bundle, features: Featuriser) -> None:
        self.stream = stream
        self.bundle = bundle
        self.accounting = Accounting()
        self._features = features

    @property
    @abstractmethod
    def bank_version(self) -> int:
        """Version of the references in use; 0 while nothing is enrolled."""

    @property
    def advice(self) -> str:
        """Nothing to do about the references in use."""
        return ""

    def judge_input(self, facts: InputFacts) -> InputVerdict:
        """Whether a stretch of the input is sound at all; from any thread."""
        return input_verdict(facts, None)

    def push(self, block: Block) -> list[Segment]:
        """Segments that this block completes and that are worth embedding."""
        segments = self._features.push(block)
        self.accounting.advance(block, segments)
        return self._worth_embedding(segments)

    def flush(self) -> list[Segment]:
        """End of the signal: the last segments."""
        segments = self._features.flush()
        self.accounting.finish(segments)
        return self._worth_embedding(segments)

    def _worth_embedding(self, segments: list[Segment]) -> list[Segment]:
        """Nothing, while nothing is enrolled that it could be compared with: such segments are done with here."""
        if self.bank_version:
            return segments
        for segment in segments:
            self.accounting.score(Embedding(segment.sample_start, segment.sample_end, {}, segment.epoch))
        return []
