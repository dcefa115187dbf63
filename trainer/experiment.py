"""One comparison: systems trained on the normal clips of a data set, and how each ranks its test clips.

    recipe + seed -> corpus -> network -> embeddings of all clips (kept on disk) -> back end -> judged sections

A system is trained once, whatever number of back ends, thresholds and tables look at it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

from edged.errors import UsageError
from edged.features.anomaly import AnomalySpec, repeat_to_length
from edged.flow import Float32Array
from trainer.anomaly_recipe import UNTRAINED, AnomalyRecipe
from trainer.anomaly_systems import build_network, build_objective, fit_standardisation, network_spec
from trainer.checkpoints import forget_checkpoints, latest_checkpoint
from trainer.data.clips import read_recording
from trainer.data.corpus import Corpus, most_segments, noise_bank, shared_corpus, write_corpus
from trainer.data.fingerprint import glimpse
from trainer.data.machine_clip import MachineClip, label_at
from trainer.data.torch_features import TorchAnomalyFeatures
from trainer.files import write_whole
from trainer.interruption import TrainingStopped
from trainer.training import Loader, TrainingSettings, fit, training_loader

BATCH_SEGMENTS = 32
EMBEDDED = "embedded.npz"

RECORDINGS = "recordings.sha256"
"""Which recordings the systems of a directory were trained on."""


@dataclass(frozen=True)
class Embedded:
    """What a trained system makes of every clip.

    Attributes:
        vectors: (n_segments, dim), rows of one clip one after another.
        clips: int (n_segments,), index of the clip.
        centres: (n_classes, n_centres, dim) of the loss, or empty.
        scale: of the cosines to the centres in the loss.
        class_names: n_classes names.
    """

    vectors: Float32Array
    clips: NDArray[np.int64]
    centres: Float32Array
    scale: float
    class_names: tuple[str, ...]

    def rows_of(self, clips: Sequence[int]) -> NDArray[np.int64]:
        """Rows of some clips."""
        return np.flatnonzero(np.isin(self.clips, clips))


@dataclass(frozen=True)
class Experiment:
    """A data set and a place for what is learned from it.

    Attributes:
        clips: of every split; those of another one than `train` and `test` are left out.
        directory: corpora, checkpoints and embeddings; what is there already is not done again.
        noises: background recordings for training, if any.
        progress: whether bars are shown.
    """

    clips: tuple[MachineClip, ...]
    directory: Path
    noises: tuple[Float32Array, ...] = ()
    accelerator: str = "auto"
    progress: bool = False
    corpora: dict[int, Corpus] = field(default_factory=dict)

    @property
    def train(self) -> list[int]:
        """Numbers of the normal training clips."""
        return [i for i, clip in enumerate(self.clips) if clip.split == "train" and clip.condition == "normal"]

    def embedded(self, recipe: AnomalyRecipe, seed: int) -> Embedded:
        """The embeddings of a trained system, from disk if they are there.

        Raises:
            UsageError: no normal training clips, or a directory of systems that were trained on others.
            TrainingStopped: on SIGINT or SIGTERM; called again it goes on.
            ConfigError: too few classes for the recipe's loss.
        """
        if not self.train:
            raise UsageError("no normal training clips", fix="name a data set whose split 'train' holds some")
        self._refuse_other_recordings()
        path = self.directory / training_key(recipe, seed) / EMBEDDED
        if path.is_file():
            return _read(path)
        result = self._train_and_embed(recipe, seed, path.parent)
        _write(path, result)
        forget_checkpoints(path.parent)
        return result

    def _train_and_embed(self, recipe: AnomalyRecipe, seed: int, directory: Path) -> Embedded:
        torch.manual_seed(seed)
        network = build_network(recipe)
        corpus = self._corpus(recipe)
        centres, scale = np.empty((0, 1, 1), np.float32), 1.0
        if recipe.network not in UNTRAINED:
            bank = noise_bank(self.noises, network_spec(recipe).segment_samples) if recipe.noise_probability else None
            objective = build_objective(recipe, network, len(corpus.names), bank)
            fit_standardisation(network, recipe, corpus)
            loader = training_loader(
                corpus, recipe.batch_size, seed, balanced=recipe.balanced, accelerator=self.accelerator
            )
            network = self._fit(network, objective, loader, self._settings(recipe, seed, directory))
            centres, scale = _centres(objective), _scale(objective)
        vectors, clips = self._embed(network.cpu().eval(), network_spec(recipe))
        return Embedded(vectors, clips, centres, scale, corpus.names)

    def _refuse_other_recordings(self) -> None:
        path, own = self.directory / RECORDINGS, f"{self._fingerprint}\n".encode()
        if not path.is_file():
            write_whole(path, own)
        elif path.read_bytes() != own:
            fix = "name another directory with --run; nothing in this one is changed"
            raise UsageError(f"{self.directory}: its systems were trained on other recordings", fix=fix)

    @cached_property
    def _fingerprint(self) -> str:
        """Of all recordings and what is known about them, wherever they lie."""
        digest = hashlib.sha256()
        for clip in self.clips:
            known = [clip.machine, clip.section, clip.domain, clip.split, clip.condition, clip.attributes]
            digest.update(json.dumps(known).encode() + glimpse(clip.path))
        for noise in self.noises:
            digest.update(noise.tobytes())
        return digest.hexdigest()

    @staticmethod
    def _fit(network: nn.Module, objective: nn.Module, loader: Loader, settings: TrainingSettings) -> nn.Module:
        """Train, or go on where an earlier call was stopped."""
        try:
            return fit(
                network, objective, loader, settings, resume_from=latest_checkpoint(settings.run_directory)
            ).network
        except TrainingStopped as stopped:
            stopped.fix = "the same command goes on from there"
            raise

    def _settings(self, recipe: AnomalyRecipe, seed: int, directory: Path) -> TrainingSettings:
        return TrainingSettings(
            tells_epochs=False,
            run_directory=directory,
            max_epochs=recipe.max_epochs,
            learning_rate=recipe.learning_rate,
            constant_rate=recipe.constant_rate,
            ema_decay=recipe.ema_decay,
            seed=seed,
            accelerator=self.accelerator,
            progress=self.progress,
        )

    def _corpus(self, recipe: AnomalyRecipe) -> Corpus:
        """Whole segments of the normal training clips with the classes of the recipe's level."""
        n_samples = network_spec(recipe).segment_samples
        if n_samples not in self.corpora:
            self.corpora[n_samples] = self._stored_corpus(n_samples)
        raw = self.corpora[n_samples]
        labels = [label_at(self.clips[int(name)], recipe.classes) for name in np.array(raw.names)[raw.classes]]
        names = tuple(sorted(set(labels)))
        return Corpus(raw.signals, np.array([names.index(label) for label in labels], np.int64), names)

    def _stored_corpus(self, n_samples: int) -> Corpus:
        """Segments named by the number of their clip; read from the recordings once."""
        path = self.directory / f"corpus-{n_samples}.npy"
        files = [(str(self.clips[i].path), self.clips[i].path.stat().st_size) for i in self.train]
        key = hashlib.sha256(json.dumps(files).encode()).hexdigest()

        def write() -> Corpus:
            recordings = ((i, read_recording(self.clips[i].path)) for i in self.train)
            cut = ((str(i), piece) for i, samples in recordings for piece in _pieces(samples, n_samples))
            bound = sum(most_segments(self.clips[i].path, n_samples) for i in self.train)
            return write_corpus(path, cut, bound, n_samples, key=key, min_classes=1)

        return shared_corpus(path, key, write)

    @torch.no_grad()
    def _embed(self, network: nn.Module, spec: AnomalySpec) -> tuple[Float32Array, NDArray[np.int64]]:
        features, rows, owners = TorchAnomalyFeatures(spec), [], []
        for number, clip in enumerate(track(self.clips, description="embedding", disable=not self.progress)):
            if clip.split not in {"train", "test"}:
                continue
            signals = stream_segments(read_recording(clip.path), spec)
            for start in range(0, len(signals), BATCH_SEGMENTS):
                batch = torch.from_numpy(signals[start : start + BATCH_SEGMENTS])
                rows.append(_as_rows(network(*features(batch))))
                owners += [number] * len(batch)
        return np.concatenate(rows), np.array(owners, np.int64)


def _as_rows(output: Tensor) -> Float32Array:
    rows: Float32Array = output.reshape(len(output), -1).float().numpy()
    return rows


def _pieces(samples: Float32Array, n_samples: int) -> list[Float32Array]:
    """Whole segments without overlap; a shorter clip is repeated to length."""
    starts = range(0, max(1, len(samples) - n_samples + 1), n_samples)
    return [repeat_to_length(samples[start:], n_samples) for start in starts]


def stream_segments(samples: Float32Array, spec: AnomalySpec) -> Float32Array:
    """The segments a stream would cut (`edged.features.anomaly.clip_segments`): (n_segments, segment_samples)."""
    n, length = len(samples), spec.segment_samples
    if n <= length:
        return repeat_to_length(samples, length)[np.newaxis]
    starts = list(range(0, n - length + 1, spec.hop_samples))
    if starts[-1] + length < n:
        starts.append(n - length)
    return np.stack([samples[start : start + length] for start in starts])


def _centres(objective: nn.Module) -> Float32Array:
    """Of the first loss that has any: (n_classes, n_centres, dim)."""
    for name, values in (*objective.named_parameters(), *objective.named_buffers()):
        if name.rsplit(".", 1)[-1] in {"centres", "bases", "weight"} and values.ndim in {2, 3}:
            found: Float32Array = values.detach().cpu().reshape(len(values), -1, values.shape[-1]).numpy()
            return found
    return np.empty((0, 1, 1), np.float32)


def _scale(objective: nn.Module) -> float:
    """Of the first loss that has an adaptive one; 1 for linear layers."""
    values = (v for name, v in objective.named_buffers() if name.endswith((".scale", ".scale.value")))
    return float(next(values, torch.ones(())))


EVALUATION_FIELDS = {"embedding_backend", "embedding_weight", "statistics_weight"}
"""Fields of a recipe that do not change what is trained."""


def training_key(recipe: AnomalyRecipe, seed: int) -> str:
    """Name of the folder of one trained system."""
    fields = recipe.model_dump(mode="json", exclude=EVALUATION_FIELDS)
    digest = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]
    return f"{recipe.network}-{recipe.loss}-{digest}-seed{seed}"


def _write(path: Path, embedded: Embedded) -> None:
    content = io.BytesIO()
    np.savez(
        content,
        vectors=embedded.vectors,
        clips=embedded.clips,
        centres=embedded.centres,
        scale=np.array(embedded.scale),
        class_names=np.array(embedded.class_names, dtype=np.str_),
    )
    write_whole(path, content.getbuffer())


def _read(path: Path) -> Embedded:
    with np.load(path, allow_pickle=False) as arrays:
        names = tuple(str(name) for name in arrays["class_names"])
        return Embedded(arrays["vectors"], arrays["clips"], arrays["centres"], float(arrays["scale"]), names)
