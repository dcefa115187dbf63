"""The arrows of the flow: what one stage hands to the next.

    Block -> Segment -> Embedding -> Detection -> (published event)

Time is a sample index: position ``sample`` on a stream's clock of 16 kHz, together with the ``epoch`` (one life of that
clock). Wall-clock time is attached once, when an event is made. All arrays are read-only for the receiver and stay
valid: a stage that keeps working on its buffers hands out a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
"""The rate of every stream inside the flow; capture resamples from the device's own rate."""

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

DetectionKind = Literal["onset", "update", "cleared", "drift", "keyword"]
Severity = Literal["low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class Block:
    """Samples as they arrive.

    Attributes:
        sample: index of ``samples[0]`` on the stream's clock.
        samples: float32 (n_samples,), full scale = +-1, finite.
        lost_before: samples declared lost right before ``sample``; nothing may span that gap.
        epoch: life of the clock; another epoch is another clock.
    """

    sample: int
    samples: Float32Array
    lost_before: int = 0
    epoch: int = 0

    @property
    def end(self) -> int:
        """Index one past the last sample."""
        return self.sample + len(self.samples)


@dataclass(frozen=True, slots=True)
class InputFacts:
    """What the samples of a stretch are like, apart from what they sound like.

    Attributes:
        level_dbfs: root mean square about the mean of every piece.
        clipped_share: of samples at full scale.
        dead_share: of time without any change; `repeated_share`: of time that is a copy of what came before.
        colour: 0 for white noise, towards 1 for hum.
        levels_dbfs: level of every piece of a sixteenth of a second, `means` and `colours` likewise (means of full
            scale): what is wrong with a part of a stretch must not hide behind the rest of it.
    """

    level_dbfs: float
    clipped_share: float
    dead_share: float
    repeated_share: float
    colour: float
    levels_dbfs: tuple[float, ...]
    means: tuple[float, ...]
    colours: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean of the whole stretch, of full scale."""
        return sum(self.means) / len(self.means)

    @property
    def broken_share(self) -> float:
        """Share of time in which nothing new was heard."""
        return self.dead_share + self.repeated_share


@dataclass(frozen=True, slots=True)
class InputRange:
    """Between which bounds the facts of some sound lie, such as of the enrolled clips; levels are those of pieces."""

    quietest_dbfs: float
    loudest_dbfs: float
    clipped_share: float
    broken_share: float
    colour: float

    @classmethod
    def of(cls, facts: Iterable[InputFacts]) -> InputRange | None:
        """The range of measured stretches; None without any."""
        return cls.joined(
            cls(min(f.levels_dbfs), max(f.levels_dbfs), f.clipped_share, f.broken_share, f.colour) for f in facts
        )

    @classmethod
    def joined(cls, ranges: Iterable[InputRange | None]) -> InputRange | None:
        """The range that holds all that are known; None if none is."""
        known = [r for r in ranges if r is not None]
        if not known:
            return None
        return cls(
            min(r.quietest_dbfs for r in known),
            max(r.loudest_dbfs for r in known),
            max(r.clipped_share for r in known),
            max(r.broken_share for r in known),
            min(r.colour for r in known),
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """Features of one fixed-length piece of a stream, ready for the embedder.

    Attributes:
        sample_start: first sample this segment accounts for.
        sample_end: one past the last.
        features: the model's inputs by name, without batch axis, and arrays that are scored as they are.
        epoch: life of the stream's clock.
        input: what its samples are like, where the front end looks at that.
        samples: float32, what it was made of (fewer than a segment's where they were repeated), for explanations.
    """

    sample_start: int
    sample_end: int
    features: Mapping[str, Float32Array]
    epoch: int = 0
    input: InputFacts | None = None
    samples: Float32Array | None = None


@dataclass(frozen=True, slots=True)
class Embedding:
    """What is scored: one vector, or one row per frame, for each representation of the bundle.

    Attributes:
        vectors: representation name -> float32 (dim,) for anomaly, (n_frames, dim) for keyword.
        input: of its segment.
    """

    sample_start: int
    sample_end: int
    vectors: Mapping[str, Float32Array]
    epoch: int = 0
    input: InputFacts | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """The score of one segment (anomaly monitors), for telemetry and ``edged score --scores``.

    Attributes:
        input: ``ok``, or what was wrong with the input; the score then says nothing and nothing was decided by it.
        discount: by how much the score was lowered for what the reference stream heard at the same time.
    """

    sample_start: int
    sample_end: int
    anomaly_score: float
    threshold: float
    domain: str
    input: str = "ok"
    discount: float = 0.0

    @property
    def is_judged(self) -> bool:
        """Whether the score counted: only such scores tell what normal sound is like."""
        return self.input == "ok"


@dataclass(frozen=True, slots=True)
class Detection:
    """What a monitor decided; the service makes an event of it.

    Attributes:
        kind: ``onset``, ``update``, ``cleared``, ``drift`` (anomaly) or ``keyword``.
        sample_start: first sample the decision rests on.
        sample_end: one past the last.
        onset_sample: where the thing itself began; ``offset_sample``: where it ended (None while it lasts).
        score: higher = more anomalous, or more certainly the keyword (minus the normalised DTW distance).
        threshold: the score at which the decision falls.
        domain: the acoustic domain whose reference was nearest (anomaly).
        bank_version: version of the references that decided.
        keyword: the word (keyword monitors).
        severity: how grave an anomaly is; None where there is nothing to compare.
        details: further facts for the event, JSON-serialisable.
    """

    kind: DetectionKind
    sample_start: int
    sample_end: int
    onset_sample: int
    offset_sample: int | None
    score: float
    threshold: float
    domain: str = ""
    bank_version: int = 0
    keyword: str = ""
    epoch: int = 0
    severity: Severity | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a monitor makes of one embedding: scores for telemetry, and decisions."""

    scored: tuple[Scored, ...] = ()
    detections: tuple[Detection, ...] = ()
