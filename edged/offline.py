"""Scoring files without a daemon: the same pipeline objects, as fast as the computer allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edged.assembly import Assembly
from edged.capture.files import blocks_of_channels, duration_samples
from edged.errors import AudioError
from edged.explain.onset import judged
from edged.flow import SAMPLE_RATE_HZ, Block, Detection, Outcome, Scored, Segment
from edged.pipeline import Monitor

NOTHING = "holds no samples that could be scored"


@dataclass(frozen=True)
class Judgement:
    """What one monitor made of one file; `lost_s` seconds of it are not numbers."""

    monitor: str
    scored: tuple[Scored, ...]
    detections: tuple[Detection, ...]
    lost_s: float = 0.0


def judge_blocks(blocks: Iterable[Block], monitor: Monitor, assembly: Assembly) -> Iterator[Outcome]:
    """Run blocks through a monitor; outcomes come as soon as they are certain."""
    steps = ([(monitor, block)] for block in blocks)
    return (outcome for _, outcome in judge_together(steps, [monitor], assembly))


def judge_together(
    steps: Iterable[Sequence[tuple[Monitor, Block]]], monitors: Sequence[Monitor], assembly: Assembly
) -> Iterator[tuple[Monitor, Outcome]]:
    """Run the blocks of several streams through their monitors: what the daemon's worker does, without its queues.

    Args:
        steps: blocks that were heard at the same time.
        monitors: those of reference streams first.
    """
    embedders = [assembly.embedder(monitor.bundle) for monitor in monitors]

    def outcomes(ready: Mapping[int, list[Segment]]) -> Iterator[tuple[Monitor, Outcome]]:
        jobs = [
            (number, segment, embedding)
            for number, segments in ready.items()
            for segment, embedding in zip(segments, embedders[number].embed(segments), strict=True)
        ]
        for number, segment, embedding in sorted(jobs, key=lambda job: (job[1].sample_end, job[0])):
            yield monitors[number], judged(monitors[number], segment, embedding, embedders[number])

    for step in steps:
        ready: dict[int, list[Segment]] = {}
        for monitor, block in step:
            ready.setdefault(monitors.index(monitor), []).extend(monitor.push(block))
        yield from outcomes(ready)
    for number, monitor in enumerate(monitors):
        yield from outcomes({number: monitor.flush()})
        yield monitor, monitor.finish()


def judge_file(
    path: Path,
    monitor: Monitor,
    assembly: Assembly,
    *,
    channel: int = 0,
    reference: tuple[Monitor, int] | None = None,
) -> Judgement:
    """Score a whole file with a fresh monitor.

    Args:
        reference: the monitor whose stream is discounted, fresh too, and its channel in the file.

    Raises:
        AudioError: the file cannot be read.
    """
    pairs = [(monitor, channel)] if reference is None else [reference, (monitor, channel)]
    monitors = [listener for listener, _ in pairs]
    steps = (
        [(listener, block) for listener, ready in zip(monitors, blocks, strict=True) for block in ready]
        for blocks in blocks_of_channels(path, [number for _, number in pairs])
    )
    assembly.link_references({listener.stream: [listener] for listener in monitors})
    heard = [outcome for listener, outcome in judge_together(steps, monitors, assembly) if listener is monitor]
    scored = tuple(one for outcome in heard for one in outcome.scored)
    detections = tuple(one for outcome in heard for one in outcome.detections)
    n_lost = duration_samples(path) - monitor.accounting.received
    return Judgement(monitor.name, scored, detections, seconds(n_lost) if n_lost > 1 else 0.0)  # one by rounding


def clip_fields(path: Path, judgement: Judgement) -> dict[str, Any]:
    """Score and threshold of a clip, each the mean over those of its segments whose input was sound.

    Raises:
        AudioError: there is nothing in it to score, or no segment could be judged.
    """
    if not judgement.scored:
        raise AudioError(f"{path}: {NOTHING}", fix="record or convert it again")
    judged = [scored for scored in judgement.scored if scored.is_judged]
    if not judged:
        raise AudioError(
            f"{path}: none of it can be judged: {_inputs(judgement)}", fix="check the microphone and record it again"
        )
    return {
        "file": str(path),
        "score": float(np.mean([scored.anomaly_score for scored in judged])),
        "threshold": float(np.mean([scored.threshold for scored in judged])),
    }


def left_out(judgement: Judgement) -> list[str]:
    """What of a file a monitor passes over because it is no sound.

    >>> left_out(Judgement("keyword", (), (), 2.0))
    ['2.00 s of it are not numbers']
    """
    found = [f"{judgement.lost_s:.2f} s of it are not numbers"] if judgement.lost_s else []
    if judgement.monitor == "anomaly" and not judgement.scored:
        found.append(NOTHING)
    n_left_out = sum(not scored.is_judged for scored in judgement.scored)
    if n_left_out:
        found.append(f"{n_left_out} of {len(judgement.scored)} segments left out: {_inputs(judgement)}")
    return found


def _inputs(judgement: Judgement) -> str:
    return ", ".join(dict.fromkeys(scored.input for scored in judgement.scored if not scored.is_judged))


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
        "discount": scored.discount,
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
