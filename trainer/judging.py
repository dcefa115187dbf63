"""Scores of every section's test clips by a back end fitted to its normal training clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from edged.errors import AudioError, ConfigError
from edged.flow import Float32Array, Float64Array
from edged.score.distances import unit
from edged.score.references import References
from trainer.anomaly_recipe import UNTRAINED, AnomalyRecipe, Level, LossName
from trainer.backends.leave_out import leave_out_distances
from trainer.backends.registry import fit_backend
from trainer.data.machine_clip import MachineClip, label_at
from trainer.evaluate.judged import JudgedSection
from trainer.experiment import Embedded

OUTPUT = "output"
"""Back end of networks whose output is an anomaly score already (autoencoders)."""

COSINES: tuple[LossName, ...] = ("adacos", "subcluster-adacos")
"""Losses whose class probabilities follow from the cosines to centres and a scale that is kept."""

NEEDED: dict[str, tuple[LossName, ...]] = {
    "softmax": COSINES,
    "cosine-to-centres": (*COSINES, "arcface", "compactness"),
}
"""Back end that judges by the centres of the training -> losses that leave it some."""


def require_fitting(recipe: AnomalyRecipe, backend: str) -> None:
    """Refuse a back end that takes what a system puts out for something else.

    Raises:
        ConfigError: class centres that are not there, errors of reconstruction that are none, or embeddings likewise.
    """
    if (backend == OUTPUT) != (recipe.network == "autoencoder"):
        fix = f"back end {OUTPUT} and network autoencoder belong together"
        raise ConfigError(f"back end {backend} does not fit network {recipe.network}", fix=fix)
    if backend not in NEEDED:
        return
    if recipe.loss not in NEEDED[backend] or recipe.combine == "after-training" or recipe.network in UNTRAINED:
        fix = f"take loss: {' or '.join(NEEDED[backend])}, not combine: after-training"
        raise ConfigError(f"back end {backend} needs the class centres of a trained joint embedding", fix=fix)


@dataclass(frozen=True)
class Judge:
    """Judges one system.

    Attributes:
        clips: of every split.
        embedded: what the system makes of them.
        backend: `name` and parameters of a back end of `trainer.backends`; what ``softmax``, ``cosine-to-centres`` and
            ``plda`` need of the training task is added.
        level: of the classes the system was trained with.
        with_normal_scores: also judge the training clips, each left out; thresholds need it.
    """

    clips: Sequence[MachineClip]
    embedded: Embedded
    backend: Mapping[str, Any]
    level: Level = "attributes"
    with_normal_scores: bool = False

    def sections(self) -> list[JudgedSection]:
        """Every section that has normal and anomalous test clips.

        Raises:
            AudioError: there is none.
        """
        return [self._section(*name) for name in judgeable_sections(self.clips)]

    def _section(self, machine: str, section: str) -> JudgedSection:
        own = [i for i, c in enumerate(self.clips) if (c.machine, c.section) == (machine, section)]
        train = [i for i in own if _is_reference(self.clips[i])]
        test = [i for i in own if self.clips[i].split == "test" and self.clips[i].condition != "unknown"]
        tested = self.embedded.rows_of(test)
        distances, left_out = self._distances(train, tested)
        normal_scores = self._means(left_out, self.embedded.rows_of(train), train) if len(left_out) else left_out
        return JudgedSection(
            machine,
            section,
            scores=self._means(distances, tested, test),
            is_anomalous=np.array([self.clips[i].condition == "anomaly" for i in test]),
            domains=tuple(self.clips[i].reference_domain for i in test),
            paths=tuple(self.clips[i].path for i in test),
            normal_scores=normal_scores[np.isfinite(normal_scores)],
        )

    def _distances(self, train: Sequence[int], tested: NDArray[np.int64]) -> tuple[Float64Array, Float64Array]:
        """Distances of the tested rows, and of the training rows left out (empty unless wanted)."""
        name, vectors = str(self.backend["name"]), self._vectors()
        rows = self.embedded.rows_of(train)
        if name == OUTPUT:
            errors = np.asarray(vectors[:, 0], np.float64)
            return errors[tested], errors[rows] if self.with_normal_scores else np.empty(0)
        owners = self.embedded.clips[rows]
        references = References(vectors[rows], tuple(self.clips[i].reference_domain for i in owners), owners)
        parameters = self._parameters(name, train)
        left_out = leave_out_distances(name, references, **parameters) if self.with_normal_scores else np.empty(0)
        return fit_backend(name, references, **parameters).distance(vectors[tested]), left_out

    def _vectors(self) -> Float32Array:
        """Embeddings, or the logits of the training task for ``softmax``."""
        if self.backend["name"] != "softmax":
            return self.embedded.vectors
        centres = self.embedded.centres  # (n_classes, n_centres, dim)
        cosines = np.einsum("nd,jcd->njc", unit(self.embedded.vectors), centres / _lengths(centres))
        return np.asarray(logsumexp(self.embedded.scale * cosines, axis=2), np.float32)

    def _parameters(self, name: str, train: Sequence[int]) -> dict[str, Any]:
        parameters = {key: value for key, value in self.backend.items() if key != "name"}
        own = sorted({self._class_of(i) for i in train})
        if name == "softmax":
            parameters["own_classes"] = own
        if name == "cosine-to-centres":
            parameters["centres"] = self.embedded.centres[own].reshape(-1, self.embedded.centres.shape[-1])
        if name == "plda":
            normal = [i for i, clip in enumerate(self.clips) if _is_reference(clip)]
            rows = self.embedded.rows_of(normal)
            parameters["training_vectors"] = self.embedded.vectors[rows]
            parameters["training_labels"] = np.array([self._class_of(int(i)) for i in self.embedded.clips[rows]])
        return parameters

    def _class_of(self, clip: int) -> int:
        return self.embedded.class_names.index(label_at(self.clips[clip], self.level))

    def _means(self, distances: Float64Array, rows: NDArray[np.int64], clips: Sequence[int]) -> Float64Array:
        """Mean over each clip's segments."""
        owners = self.embedded.clips[rows]
        return np.array([distances[owners == clip].mean() for clip in clips])


def judgeable_sections(clips: Sequence[MachineClip]) -> list[tuple[str, str]]:
    """(machine, section) of those that have all it takes, sorted.

    Raises:
        AudioError: there is none.
    """
    kinds: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for clip in clips:
        kinds.setdefault((clip.machine, clip.section), set()).add((clip.split, clip.condition))
    wanted = {("train", "normal"), ("test", "normal"), ("test", "anomaly")}
    found = sorted(name for name, own in kinds.items() if own >= wanted)
    if not found:
        raise AudioError(
            "no section has normal training clips and both normal and anomalous test clips",
            fix="put some normal clips where test clips lie (`edged-train check` tells what is there)",
        )
    return found


def _is_reference(clip: MachineClip) -> bool:
    return clip.split == "train" and clip.condition == "normal"


def _lengths(centres: Float32Array) -> Float32Array:
    lengths: Float32Array = np.maximum(np.linalg.norm(centres, axis=2, keepdims=True), 1e-12)
    return lengths
