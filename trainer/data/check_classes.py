"""What a set of recordings lacks: classes of one clip, sections that cannot be tested, domains without clips."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from trainer.data.check_report import Finding, counted
from trainer.data.machine_clip import MachineClip

IMBALANCE = 20
_LISTED = 8

Section = tuple[str, str]
"""Machine and section."""


def set_findings(clips: Sequence[MachineClip]) -> list[Finding]:
    """Everything that the labels alone tell."""
    return [*_class_findings(clips), *_test_findings(clips), *_domain_findings(clips), *_unused_findings(clips)]


def by_section(clips: Sequence[MachineClip]) -> dict[Section, list[MachineClip]]:
    """Clips by machine and section, sorted."""
    groups: dict[Section, list[MachineClip]] = defaultdict(list)
    for clip in clips:
        groups[clip.machine, clip.section].append(clip)
    return dict(sorted(groups.items()))


def _class_findings(clips: Sequence[MachineClip]) -> Iterator[Finding]:
    counts = Counter(clip.label for clip in clips if clip.for_training)
    if not counts:
        yield Finding("error", "no-training", "there are no normal training clips", "look at split and condition")
        return
    if len(counts) == 1:
        message = f"there is a single class, {next(iter(counts))}"
        yield Finding("note", "one-class", message, "an embedder needs several: add machines, or synthetic ones")
    lonely = sorted(label for label, n in counts.items() if n == 1)
    if lonely:
        message = f"{counted(len(lonely), 'class', 'classes')} of one clip: {_listed(lonely)}"
        yield Finding("warning", "lonely-class", message, "record more, or tell fewer classes apart")
    (most, n_most), (least, n_least) = counts.most_common(1)[0], min(counts.items(), key=lambda item: item[1])
    if n_most > IMBALANCE * n_least:
        message = f"classes differ in size: {n_most} clips of {most}, {n_least} of {least}"
        yield Finding("note", "imbalance", message, "sample the classes evenly")


def _test_findings(clips: Sequence[MachineClip]) -> Iterator[Finding]:
    test = [clip for clip in clips if clip.split == "test"]
    if not test:
        yield Finding("note", "no-test", "there are no test clips", "add some if you want to measure; training can do")
    else:
        yield from _untestable_findings(clips, test)
    untrained = _lacking(clips, (clip for clip in clips if clip.for_training))
    if test and untrained and any(clip.for_training for clip in clips):
        message = _missing(untrained, "normal training clips")
        yield Finding("warning", "untrained-section", message, "their test clips have nothing to be compared with")


def _untestable_findings(clips: Sequence[MachineClip], test: Sequence[MachineClip]) -> Iterator[Finding]:
    untold = _lacking(test, (clip for clip in test if clip.condition != "unknown"))
    if untold:
        message = f"the test clips of {counted(len(untold), 'section', 'sections')} are not labelled: {_listed(untold)}"
        yield Finding("note", "untold", message, "add the organisers' eval_data_list*.csv")
    fixes = {
        "normal": "add some: without them `evaluate` judges the training clips in folds, and `reproduce` nothing",
        "anomaly": "there is no AUC without them; add some",
    }
    for condition, fix in fixes.items():
        lacking = _lacking(clips, (clip for clip in test if clip.condition == condition))
        if lacking := [name for name in lacking if name not in untold]:
            yield Finding("warning", f"no-test-{condition}", _missing(lacking, f"{condition} test clips"), fix)


def _domain_findings(clips: Sequence[MachineClip]) -> Iterator[Finding]:
    """Only where two domains are told at all: most sets have one."""
    for split in ("train", "test"):
        told = [clip for clip in clips if clip.split == split and clip.domain != "unknown"]
        if not any(clip.domain == "target" for clip in clips):
            continue
        for domain in ("source", "target"):
            lacking = _lacking(told, (clip for clip in told if clip.domain == domain))
            if lacking:
                message = _missing(lacking, f"{split} clips of the {domain} domain")
                fix = f"add some, or expect little of the {domain} domain"
                yield Finding("warning", f"no-{split}-{domain}", message, fix)


def _unused_findings(clips: Sequence[MachineClip]) -> Iterator[Finding]:
    unused = tuple(clip.path for clip in clips if clip.split == "train" and not clip.for_training)
    if unused:
        message = (
            f"{counted(len(unused), 'clip is', 'clips are')} in the training split and not normal: nobody uses them"
        )
        yield Finding("warning", "unused", message, "move them to the test", unused)


def _lacking(clips: Iterable[MachineClip], wanted: Iterable[MachineClip]) -> list[str]:
    """Sections of `clips` of which nothing is in `wanted`."""
    present = {(clip.machine, clip.section) for clip in wanted}
    return sorted({f"{clip.machine}/{clip.section}" for clip in clips if (clip.machine, clip.section) not in present})


def _missing(sections: Sequence[str], what: str) -> str:
    return f"{counted(len(sections), 'section has', 'sections have')} no {what}: {_listed(sections)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
