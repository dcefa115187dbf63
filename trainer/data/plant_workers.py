"""Writes the clips of a synthetic plant on several cores."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from trainer.data.plant_tree import PlantClip, PlantTree, write_clip

_CLIPS_PER_TASK = 16


def write_clips(out: Path, tree: PlantTree, clips: Sequence[PlantClip], workers: int) -> Iterator[int]:
    """Write clips; yields how many were written, again and again.

    Args:
        out: folder of the tree.
        tree: what it is made with.
        clips: those that are missing, see `start_tree`.
        workers: processes; with one everything happens in this process.
    """
    tasks = [clips[start : start + _CLIPS_PER_TASK] for start in range(0, len(clips), _CLIPS_PER_TASK)]
    if workers == 1 or len(tasks) < 2:
        for clip in clips:
            write_clip(out, tree, clip)
            yield 1
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads of the progress bar
    with ProcessPoolExecutor(min(workers, len(tasks)), context, _ignore_interrupts) as pool:
        try:
            for done in as_completed([pool.submit(_write_task, out, tree, task) for task in tasks]):
                yield done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _write_task(out: Path, tree: PlantTree, clips: Sequence[PlantClip]) -> int:
    for clip in clips:
        write_clip(out, tree, clip)
    return len(clips)


def _ignore_interrupts() -> None:
    """Ctrl-C is for the parent, which lets the clips in work be finished."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
