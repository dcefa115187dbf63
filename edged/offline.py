"""Scoring files without a daemon: the same pipeline objects, as fast as the computer allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edged.assembly import Assembly
from edged.capture.files import blocks_of_file
from edged.errors import AudioError
from edged.explain.onset import judged
from edged.flow import SAMPLE_RATE_HZ, Block, Detection, Outcome, Scored, Segment
from edged.pipeline import Monitor


@dataclass(frozen=True)
class Judgement:
    """What one monitor made of one file."""

    monitor: str
    scored: tuple[Scored, ...]
    detections: tuple[Detection, ...]


def judge_blocks(blocks: Iterable[Block], monitor: Monitor, assembly: Assembly) -> Iterator[Outcome]:
    """Run blocks through a monitor; outcomes come as soon as they are certain.

    This is what the daemon's worker does, without its queues.
    """
    embedder = assembly.embedder(monitor.bundle)

    def outcomes(segments: list[Segment]) -> Iterator[Outcome]:
        for segment, embedding in zip(segments, embedder.embed(segments), strict=True):
            yield judged(monitor, segment, embedding, embedder)

    for block in blocks:
        yield from outcomes(monitor.push(block))
    yield from outcomes(monitor.flush())
    yield monitor.finish()


def judge_file(path: Path, monitor: Monitor, assembly: Assembly, *, channel: int = 0) -> Judgement:
    """Score a whole file with a fresh monitor.

    Raises:
        AudioError: the file cannot be read.
    """
    scored: list[Scored] = []
    detections: list[Detection] = []
    for outcome in judge_blocks(blocks_of_file(path, channel=channel), monitor, assembly):
        scored += outcome.scored
        detections += outcome.detections
    return Judgement(monitor.name, tuple(scored), tuple(detections))


def clip_score(path: Path, judgement: Judgement) -> float:
    """One anomaly score for a clip: the mean over its segments.

    Raises:
        AudioError: there is nothing in it to score.
    """
    if not judgement.scored:
        raise AudioError(f"{path}: holds no samples that could be scored", fix="record or convert it again")
    return float(np.mean([scored.anomaly_score for scored in judgement.scored]))


def score_fields(path: Path, scored: Scored) -> dict[str, Any]:
    """One segment's score as `edged score --scores` prints it."""
    return {
        "file": str(path),
        "start_s": seconds(scored.sample_start),
        "end_s": seconds(scored.sample_end),
        "score": scored.anomaly_score,
        "threshold": scored.threshold,
        "domain": scored.domain,
        "input": scored.input,
    }


def event_fields(path: Path, monitor: str, detection: Detection) -> dict[str, Any]:
    """One detection as `edged score --events` prints it."""
    fields: dict[str, Any] = {
        "file": str(path),
        "monitor": monitor,
        "kind": detection.kind,
        "onset_s": seconds(detection.onset_sample),
        "offset_s": None if detection.offset_sample is None else seconds(detection.offset_sample),
        "score": detection.score,
        "threshold": detection.threshold,
        "sample_start": detection.sample_start,
        "sample_end": detection.sample_end,
        "bank": detection.bank_version,
    }
    if detection.keyword:
        return fields | {"keyword": detection.keyword}
    fields |= {"domain": detection.domain, "details": dict(detection.details)}
    return fields if detection.severity is None else fields | {"severity": detection.severity}


def seconds(sample: int) -> float:
    """A sample index as seconds of the stream.

    >>> seconds(24_000)
    1.5
    """
    return sample / SAMPLE_RATE_HZ
