"""Labelled waveforms for training embedders: synthetic machines, recorded trees, or both, in one array on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from edged.errors import AudioError
from edged.features.anomaly import repeat_to_length
from edged.flow import Float32Array
from trainer.data.clips import read_recording
from trainer.data.dcase import MachineClip
from trainer.data.machine_kinds import Fault, OperatingPoint
from trainer.data.machine_synth import NORMAL, draw_plant, render_clip

FULL_SCALE = 32767.0

Labelled = tuple[str, Float32Array]
"""Class name and one segment of samples."""


@dataclass(frozen=True)
class Corpus:
    """Segments of equal length with their classes.

    Attributes:
        signals: int16 (n, segment_samples), memory-mapped.
        classes: int64 (n,), index into `names`.
        names: class names.
    """

    signals: NDArray[np.int16]
    classes: NDArray[np.int64]
    names: tuple[str, ...]


class CorpusDataset(Dataset[dict[str, Any]]):
    """One segment at a time, turned round by a random shift so that no network learns where a clip begins."""

    def __init__(self, corpus: Corpus, seed: int = 0) -> None:
        self._corpus = corpus
        self._generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return len(self._corpus.classes)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """`signals` float32 (segment_samples,), `classes` int."""
        samples = torch.from_numpy(self._corpus.signals[index].astype(np.float32) / np.float32(FULL_SCALE))
        shift = int(torch.randint(len(samples), (1,), generator=self._generator))
        return {"signals": samples.roll(shift), "classes": int(self._corpus.classes[index])}


def write_corpus(path: Path, segments: Iterable[Labelled], n_segments: int, segment_samples: int) -> Corpus:
    """Store segments as they come; `n_segments` is an upper bound.

    Args:
        path: of the array (``.npy``); it is as large as 2 bytes x n_segments x segment_samples.

    Raises:
        AudioError: no segments, or a single class: there is nothing to tell apart.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    store = open_memmap(path, mode="w+", dtype=np.int16, shape=(n_segments, segment_samples))
    labels: list[str] = []
    for label, samples in segments:
        store[len(labels)] = np.round(np.clip(samples, -1.0, 1.0) * FULL_SCALE).astype(np.int16)
        labels.append(label)
    names = tuple(dict.fromkeys(labels))
    if len(names) < 2:
        raise AudioError(f"{len(names)} classes to train on", fix="give at least two machines or operating points")
    store.flush()
    classes = np.array([names.index(label) for label in labels], np.int64)
    return Corpus(store[: len(labels)], classes, names)


VARIED = OperatingPoint(speed=0.1, load=0.15)
"""Training machines change speed and load from clip to clip, so that the embedding does not mistake it for a fault."""


def synthetic_segments(
    n_machines: int,
    seed: int,
    noises: Sequence[Float32Array],
    clips_per_class: tuple[int, int, int] = (8, 6, 5),
    n_faults: int = 3,
) -> Iterator[Labelled]:
    """Machines of every kind: healthy in two acoustic domains, and with some faults.

    A class is a machine in one state: healthy, whatever its speed, load, room and background, or with one fault. So the
    embedding learns to tell states apart through everything else that changes.

    Args:
        clips_per_class: healthy source, healthy target, each fault.
        n_faults: faults per machine.
    """
    n_source, n_target, n_faulty = clips_per_class
    for index, item in enumerate(draw_plant(n_machines, seed)):
        rng = np.random.default_rng((seed, index, 9))
        for domain, n_clips in enumerate((n_source, n_target)):
            for k in range(n_clips):
                place = (seed, index, domain, k)
                yield f"{item.name}/{NORMAL}", render_clip(item, place, domain=domain, noises=noises, drift=VARIED)
        for number, name in enumerate(rng.choice(item.machine.FAULTS, n_faults, replace=False)):
            for k in range(n_faulty):
                fault, place = Fault(str(name), rng.uniform(0.3, 1.0)), (seed, index, 2 + number, k)
                yield (
                    f"{item.name}/{name}",
                    render_clip(item, place, domain=k % 2, fault=fault, noises=noises, drift=VARIED),
                )


def recorded_segments(clips: Iterable[MachineClip], segment_samples: int, repeats: int = 1) -> Iterator[Labelled]:
    """Normal training clips of any rate, first channel, cut into whole segments; shorter ones are repeated to length.

    Args:
        repeats: how often each segment is stored; small real sets need weight beside large synthetic ones.
    """
    for clip in clips:
        if not clip.for_training:
            continue
        samples = read_recording(clip.path)
        for start in range(0, max(1, len(samples) - segment_samples + 1), segment_samples):
            segment = repeat_to_length(samples[start:], segment_samples)
            for _ in range(repeats):
                yield clip.label, segment


def noise_bank(clips: Sequence[Float32Array], segment_samples: int) -> Tensor | None:
    """Background recordings cut or repeated to segments: float32 (n, segment_samples), or None without any."""
    pieces = [
        repeat_to_length(clip[start:], segment_samples)
        for clip in clips
        for start in range(0, max(1, len(clip) - segment_samples + 1), segment_samples)
    ]
    return torch.from_numpy(np.stack(pieces)) if pieces else None
