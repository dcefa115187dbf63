"""Labelled waveforms for training embedders: synthetic machines, recorded trees, or both, in one array on disk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from trainer.data.audio_file import open_audio, samples_at_16k
from trainer.data.clips import read_recording
from trainer.data.machine_clip import Level, MachineClip, label_at
from trainer.data.machine_kinds import Fault, OperatingPoint
from trainer.data.machine_synth import NORMAL, draw_plant, render_clip
from trainer.data.sampler import EpochIndex
from trainer.files import held, reserve, storage, write_whole
from trainer.processes import is_first_on_machine

FULL_SCALE = 32767.0
INDEX = ".json"
WAIT_S = 0.5

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

    def __getstate__(self) -> dict[str, Any]:
        """For another process: where the array is mapped from; pickled, a map would be its whole content."""
        state = dict(vars(self))
        if isinstance(self.signals, np.memmap) and self.signals.filename is not None:
            state["signals"] = (str(self.signals.filename), len(self.signals))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map the array anew."""
        if isinstance(state["signals"], tuple):
            path, n_segments = state["signals"]
            state["signals"] = np.load(path, mmap_mode="r")[:n_segments]
        vars(self).update(state)


class CorpusDataset(Dataset[dict[str, Any]]):
    """One segment at a time, turned round by a random shift so that no network learns where a clip begins.

    The shift follows from the seed, the epoch and the segment, in whatever order and process segments are read.
    """

    def __init__(self, corpus: Corpus, seed: int = 0) -> None:
        self._corpus = corpus
        self._seed = seed

    def __len__(self) -> int:
        return len(self._corpus.classes)

    def __getitem__(self, place: EpochIndex | int) -> dict[str, Any]:
        """`signals` float32 (segment_samples,), `classes` int; an index alone is of epoch 0."""
        epoch, index = place if isinstance(place, tuple) else (0, place)
        samples = torch.from_numpy(self._corpus.signals[index].astype(np.float32) / np.float32(FULL_SCALE))
        shift = int(np.random.default_rng((self._seed, epoch, index)).integers(len(samples)))
        return {"signals": samples.roll(shift), "classes": int(self._corpus.classes[index])}


def write_corpus(
    path: Path,
    segments: Iterable[Labelled],
    n_segments: int,
    segment_samples: int,
    *,
    key: str = "",
    min_classes: int = 2,
) -> Corpus:
    """Store segments as they come; `n_segments` is an upper bound.

    Args:
        path: of the array (``.npy``); it is as large as 2 bytes x n_segments x segment_samples.
        key: what the segments were made from; see `open_corpus`.
        min_classes: 1 for losses that tell nothing apart, such as compactness.

    Raises:
        AudioError: no segments, or fewer classes: there is nothing to tell apart.
        StorageError: no room for the array.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(INDEX).unlink(missing_ok=True)
    with storage(path.parent):
        store = open_memmap(path, mode="w+", dtype=np.int16, shape=(n_segments, segment_samples))
    reserve(path, path.stat().st_size)
    labels: list[str] = []
    for label, samples in segments:
        store[len(labels)] = _as_int16(samples)
        labels.append(label)
    names = tuple(dict.fromkeys(labels))
    if len(names) < min_classes:
        found = f"one class to train on, {names[0]}" if names else "nothing to train on"
        raise AudioError(found, fix="give at least two machines or operating points")
    store.flush()
    numbers = {name: number for number, name in enumerate(names)}
    classes = [numbers[label] for label in labels]
    write_whole(path.with_suffix(INDEX), json.dumps({"key": key, "names": names, "classes": classes}).encode())
    return Corpus(store[: len(labels)], np.array(classes, np.int64), names)


def _as_int16(samples: Float32Array) -> NDArray[np.int16]:
    """A segment in 16 bits; what exceeds full scale, as floats may, is brought down to it and not clipped."""
    peak = max(1.0, float(np.abs(samples).max()))
    return np.asarray(np.round(samples * np.float32(FULL_SCALE / peak)), np.int16)


def open_corpus(path: Path, key: str) -> Corpus | None:
    """A corpus that was stored whole from the same `key`; None if there is none."""
    index_path = path.with_suffix(INDEX)
    if not (path.is_file() and index_path.is_file()):
        return None
    index = json.loads(index_path.read_text(encoding="utf-8"))
    if index["key"] != key:
        return None
    classes = np.array(index["classes"], np.int64)
    return Corpus(np.load(path, mmap_mode="r")[: len(classes)], classes, tuple(index["names"]))


def shared_corpus(path: Path, key: str, write: Callable[[], Corpus]) -> Corpus:
    """The stored corpus; where there is none, the first process of this machine writes it and the others wait.

    Args:
        path: as of `write_corpus`.
        key: what it is made from.
        write: stores it at `path` under `key`.
    """
    stored = open_corpus(path, key)
    if stored is None and is_first_on_machine():
        with held(path.with_name(f".{path.stem}.lock")):  # of another training into the same directory
            return open_corpus(path, key) or write()
    while stored is None:
        time.sleep(WAIT_S)
        stored = open_corpus(path, key)
    return stored


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


def recorded_segments(
    clips: Iterable[MachineClip], segment_samples: int, repeats: int = 1, level: Level = "attributes"
) -> Iterator[Labelled]:
    """Normal training clips of any rate, first channel, cut into whole segments; shorter ones are repeated to length.

    Args:
        repeats: how often each segment is stored; small real sets need weight beside large synthetic ones.
        level: of the classes.
    """
    for clip in clips:
        if not clip.for_training:
            continue
        samples = read_recording(clip.path)
        for start in range(0, max(1, len(samples) - segment_samples + 1), segment_samples):
            segment = repeat_to_length(samples[start:], segment_samples)
            for _ in range(repeats):
                yield label_at(clip, level), segment


def most_segments(path: Path, segment_samples: int) -> int:
    """How many segments `recorded_segments` cuts a file into, at most.

    Raises:
        AudioError: not readable.
    """
    with open_audio(path) as file:
        return max(1, samples_at_16k(file.frames, file.samplerate) // segment_samples)


def noise_bank(clips: Sequence[Float32Array], segment_samples: int) -> Tensor | None:
    """Background recordings cut or repeated to segments: float32 (n, segment_samples), or None without any."""
    pieces = [
        repeat_to_length(clip[start:], segment_samples)
        for clip in clips
        for start in range(0, max(1, len(clip) - segment_samples + 1), segment_samples)
    ]
    return torch.from_numpy(np.stack(pieces)) if pieces else None
