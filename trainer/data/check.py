"""Looks at recordings before hours of training are spent on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.progress import track

from edged.errors import AudioError
from edged.flow import SAMPLE_RATE_HZ
from trainer.data.check_classes import by_section, set_findings
from trainer.data.check_files import FileFacts, FileFindings, file_facts
from trainer.data.check_leaks import Heard, same_sound
from trainer.data.check_level import level_findings
from trainer.data.check_report import Finding, Report, SectionSummary, counted, gravest_first
from trainer.data.machine_clip import MachineClip


def check_data(clips: Sequence[MachineClip], *, progress: bool = False) -> Report:
    """Read every recording once and say what is wrong with them and with the set.

    Args:
        clips: as of `trainer.data.recordings.read_machine_data`.
        progress: show a bar on stderr.
    """
    heard, findings = _listen(clips, quick=False, progress=progress)
    formats = Counter(_format(facts) for _, facts in heard)
    return Report(
        n_clips=len(clips),
        hours=sum(facts.duration_s for _, facts in heard) / 3600.0,
        classes=len({clip.label for clip in clips if clip.for_training}),
        formats=dict(formats.most_common()),
        sections=tuple(_summaries(heard)),
        findings=gravest_first(
            [
                *findings,
                *same_sound(heard),
                *set_findings(clips),
                *level_findings(heard),
                *_format_findings(heard),
            ]
        ),
    )


def usable(clips: Sequence[MachineClip], *, progress: bool = False) -> tuple[list[MachineClip], tuple[Finding, ...]]:
    """The clips that training can take, and what is wrong with the others: unreadable, silent, not numbers.

    Every file is read to its end, as training would; without the comparisons of `check_data`.
    """
    heard, findings = _listen(clips, quick=True, progress=progress)
    good = [clip for clip, facts in heard if facts.is_usable]
    told = [finding for finding in findings if finding.code in {"unreadable", "not-numbers", "silent"}]
    return good, gravest_first(told)


def _listen(clips: Sequence[MachineClip], *, quick: bool, progress: bool) -> tuple[list[Heard], list[Finding]]:
    heard: list[Heard] = []
    troubles = FileFindings()
    console = Console(stderr=True)
    shown = progress and console.is_terminal
    for clip in track(clips, "reading", console=console, disable=not shown, transient=True):
        try:
            facts = file_facts(clip.path, quick=quick)
        except AudioError as error:
            troubles.add("unreadable", clip.path, error.message.removeprefix(f"{clip.path}: "))
            continue
        troubles.judge(facts)
        heard.append((clip, facts))
    return heard, troubles.findings()


def _format(facts: FileFacts) -> str:
    return f"{facts.rate_hz} Hz, {facts.channels} channel{'s' if facts.channels > 1 else ''}"


def _format_findings(heard: Sequence[Heard]) -> list[Finding]:
    other = [facts for _, facts in heard if facts.rate_hz != SAMPLE_RATE_HZ or facts.channels != 1]
    findings = []
    if other:
        message = f"{counted(len(other), 'file', 'files')} not 16 kHz mono"
        fix = "nothing: their first channel is used, at 16 kHz"
        paths, details = tuple(facts.path for facts in other), tuple(map(_format, other))
        findings.append(Finding("note", "format", message, fix, paths, details))
    low = [facts for facts in other if facts.rate_hz < SAMPLE_RATE_HZ]
    if low and len(low) < len(heard):
        message = f"{counted(len(low), 'file', 'files')} below 16 kHz beside others: what is missing tells them apart"
        fix = "record all at 16 kHz or more"
        findings.append(Finding("warning", "low-rate", message, fix, tuple(facts.path for facts in low)))
    return findings


def _summaries(heard: Sequence[Heard]) -> list[SectionSummary]:
    durations = {facts.path: facts.duration_s for _, facts in heard}
    return [
        _summary(section, group, [durations[clip.path] for clip in group])
        for section, group in by_section([clip for clip, _ in heard]).items()
    ]


def _summary(section: tuple[str, str], clips: Sequence[MachineClip], durations_s: Sequence[float]) -> SectionSummary:
    train = Counter(clip.domain for clip in clips if clip.for_training)
    test = Counter(clip.condition for clip in clips if clip.split == "test")
    return SectionSummary(
        machine=section[0],
        section=section[1],
        train_source=train.total() - train["target"],
        train_target=train["target"],
        test_normal=test["normal"],
        test_anomaly=test["anomaly"],
        test_unknown=test["unknown"],
        supplemental=sum(clip.split == "supplemental" for clip in clips),
        classes=len({clip.label for clip in clips if clip.for_training}),
        shortest_s=min(durations_s),
        median_s=float(np.median(durations_s)),
        longest_s=max(durations_s),
    )
