"""What an anomaly embedder learns from: recordings, synthetic machines, and background noises; kept for resuming."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edged.errors import AudioError, UsageError
from edged.features.anomaly import repeat_to_length
from edged.flow import Float32Array
from trainer.anomaly_recipe import AnomalyRecipe
from trainer.anomaly_systems import network_spec
from trainer.checkpoints import NEWEST_FIRST
from trainer.data.check import usable
from trainer.data.clips import NOT_FOR_TRAINING, read_recording, rms
from trainer.data.corpus import (
    INDEX,
    Corpus,
    Labelled,
    most_segments,
    recorded_segments,
    shared_corpus,
    synthetic_segments,
    write_corpus,
)
from trainer.data.file_tree import files_below
from trainer.data.fingerprint import glimpse
from trainer.data.machine_clip import SUFFIXES, MachineClip, label_at
from trainer.data.recordings import read_machine_data

N_FAULTS = 3
"""Of each synthetic machine."""

SILENT_RMS = 1e-4

CORPUS_FIELDS = {"segment_s", "classes", "synthetic_machines", "synthetic_seed", "synthetic_clips", "recorded_repeats"}
"""Fields of a recipe that the corpus depends on."""


@dataclass(frozen=True)
class Sources:
    """Where training sound comes from.

    Attributes:
        data: recordings in any form `read_machine_data` knows, or None for synthetic machines alone.
        noise: directory of background recordings, or None.
        exclude: parts of paths; recordings and noises that hold one are left out (``fan_id_00``).
    """

    data: Path | None = None
    noise: Path | None = None
    exclude: tuple[str, ...] = ()

    def recordings(self) -> list[MachineClip]:
        """Normal training clips, without the excluded ones."""
        if self.data is None:
            return []
        return [
            clip
            for clip in read_machine_data(self.data)
            if clip.for_training and not self._excludes(clip.path, self.data)
        ]

    def require_any(self, recipe: AnomalyRecipe) -> None:
        """Refuse to start without anything to learn from.

        Raises:
            UsageError: recordings of which none is a normal training clip, or no recordings and a recipe without
                synthetic machines.
        """
        if self.data is not None and not self.recordings():
            fix = "`edged-train check` tells what is there; take away --exclude, or --data for synthetic machines alone"
            raise UsageError(f"{self.data}: holds no normal training clips", fix=fix)
        if self.data is None and not recipe.synthetic_machines:
            raise UsageError("nothing to train on", fix="give --data, or a recipe with synthetic_machines")

    def noises(self) -> list[Float32Array]:
        """All audible background recordings but the excluded ones.

        Raises:
            AudioError: none there, all silent, or unreadable.
        """
        if self.noise is None:
            return []
        found = files_below(self.noise)
        paths = [path for path in found if path.suffix.lower() in SUFFIXES and not self._excludes(path, self.noise)]
        if not paths:
            raise AudioError(f"{self.noise}: holds no {', '.join(SUFFIXES)} files", fix="name a folder of recordings")
        audible = [clip for clip in map(read_recording, paths) if rms(clip) > SILENT_RMS]
        if not audible:
            raise AudioError(f"{self.noise}: holds nothing but silence", fix="name a folder of audible recordings")
        return audible

    def _excludes(self, path: Path, root: Path) -> bool:
        """Whether a recording is left out; the names of the folders above all of them do not count."""
        own = path.relative_to(root) if path.is_relative_to(root) else path
        return any(part in str(own) for part in (*self.exclude, *NOT_FOR_TRAINING))


def build_corpus(sources: Sources, recipe: AnomalyRecipe, noises: Sequence[Float32Array], directory: Path) -> Corpus:
    """Synthetic and recorded segments, stored in the run directory; what is stored there already is taken.

    Raises:
        AudioError: recordings that cannot be used; see `refuse_unusable`.
        UsageError: a run that is to go on, on recordings or noises that have changed since it began.
    """
    path = directory / "corpus.npy"
    clips, n_samples = sources.recordings(), network_spec(recipe).segment_samples
    try:
        key = _key(clips, recipe, noises)
    except AudioError:
        refuse_unusable(clips)  # names all of them
        raise
    _refuse_changed(path, key)

    def segments(repeats: int) -> Iterator[Labelled]:
        machines, seed = recipe.synthetic_machines, recipe.synthetic_seed
        for label, samples in synthetic_segments(machines, seed, noises, recipe.synthetic_clips, N_FAULTS):
            yield label, repeat_to_length(samples, n_samples)
        yield from recorded_segments(clips, n_samples, repeats, recipe.classes)

    def write() -> Corpus:
        refuse_unusable(clips)
        n_synthetic = recipe.synthetic_machines * _clips_per_machine(recipe)
        n_recorded = sum(most_segments(clip.path, n_samples) for clip in clips)
        repeats = repeats_of_recorded(recipe.recorded_repeats, n_recorded, n_synthetic)
        return write_corpus(
            path,
            segments(repeats),
            n_synthetic + repeats * n_recorded,
            n_samples,
            key=key,
            min_classes=1 if recipe.loss == "compactness" else 2,
        )

    return shared_corpus(path, key, write)


def _refuse_changed(path: Path, key: str) -> None:
    """What a run has learned so far, it goes on learning: other recordings would change classes under its feet.

    Raises:
        UsageError: the run has a checkpoint, and its corpus was made from other recordings.
    """
    began = any((path.parent / name).is_file() for name in NEWEST_FIRST)
    if began and _stored_key(path) not in {None, key}:
        fix = "bring them back as they were, or begin a new run in another directory with --run"
        raise UsageError(f"{path.parent}: the recordings or noises have changed since this run began", fix=fix)


def _stored_key(path: Path) -> str | None:
    index = path.with_suffix(INDEX)
    return str(json.loads(index.read_text(encoding="utf-8"))["key"]) if index.is_file() else None


def _key(clips: Sequence[MachineClip], recipe: AnomalyRecipe, noises: Sequence[Float32Array]) -> str:
    """What a run learns from: the recordings wherever they lie, the noises, and the recipe."""
    digest = hashlib.sha256(recipe.model_dump_json(include=CORPUS_FIELDS).encode())
    for clip in clips:
        digest.update(json.dumps(label_at(clip, recipe.classes)).encode() + glimpse(clip.path))
    for noise in noises:
        digest.update(len(noise).to_bytes(8, "big") + noise.tobytes())
    return digest.hexdigest()


def refuse_unusable(clips: Sequence[MachineClip]) -> None:
    """Look at every file before hours are spent.

    Raises:
        AudioError: files that cannot be read or are silent; the first five of each kind are named.
    """
    good, findings = usable(clips)
    if len(good) < len(clips):
        listed = "; ".join(f"{finding.message}: {', '.join(map(str, finding.paths[:5]))}" for finding in findings)
        raise AudioError(
            f"{len(clips) - len(good)} of {len(clips)} recordings cannot be used: {listed}",
            fix="`edged-train check DATA` tells more; mend them, take them away, or name them with --exclude",
        )


def _clips_per_machine(recipe: AnomalyRecipe) -> int:
    n_source, n_target, n_faulty = recipe.synthetic_clips
    return n_source + n_target + N_FAULTS * n_faulty


def repeats_of_recorded(wanted: int, n_recorded: int, n_synthetic: int) -> int:
    """How often each recorded segment is stored: few recordings need weight beside many synthetic clips, many do not.

    >>> [repeats_of_recorded(8, n_recorded, 6066) for n_recorded in (15, 1400, 14_000)]
    [8, 4, 1]
    """
    return max(1, min(wanted, n_synthetic // max(n_recorded, 1)))
