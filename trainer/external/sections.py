"""Machines judged with an external encoder (thesis 5.5, Tables 22 to 24).

normal training clips -> encoder -> shallow classifier of (machine, section, attributes) -> back end of each section
test clips            -> encoder -> shallow classifier ------------------------------------> distance
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from edged.embed.bundle import RepresentationSpec
from edged.errors import AudioError
from edged.flow import Float32Array
from edged.score.anomaly import fit_anomaly
from edged.score.references import References
from trainer.data.clips import read_clip
from trainer.data.dcase import MachineClip
from trainer.evaluate.judged import JudgedSection
from trainer.external.encoder import Encoder
from trainer.external.shallow import ShallowRecipe, shallow_vectors, train_shallow_classifier
from trainer.external.vectors import external_vectors

NAME = "external"
COSINE: Mapping[str, Any] = {"n_clusters": 16, "seed": 0}
"""The back end that does best in Table 23."""


@dataclass(frozen=True)
class MachineVectors:
    """Clips with what the encoder says of them.

    Attributes:
        clips: n clips.
        vectors: float32 (n, time, dim), or (n, dim).
    """

    clips: tuple[MachineClip, ...]
    vectors: Float32Array

    def where(self, chosen: Iterable[bool]) -> MachineVectors:
        """Some of them."""
        rows = np.flatnonzero(np.fromiter(chosen, bool))
        return MachineVectors(tuple(self.clips[i] for i in rows), self.vectors[rows])


def encode_machines(
    encoder: Encoder, clips: Sequence[MachineClip], *, keep_time: bool = True, progress: bool = False
) -> MachineVectors:
    """Encode once what is trained and judged many times.

    Raises:
        AudioError: a clip cannot be read, or, with time, clips of different length.
    """
    bar = track(clips, description=encoder.label, disable=not progress)
    return MachineVectors(
        tuple(clips), external_vectors(encoder, (read_clip(clip.path) for clip in bar), keep_time=keep_time)
    )


def train_on_machines(
    machines: MachineVectors, recipe: ShallowRecipe, run_directory: Path, *, seed: int = 0, progress: bool = False
) -> MachineVectors:
    """The same clips as embeddings (n, 128) of a classifier trained on the normal training clips among them.

    Raises:
        AudioError: no normal training clips.
        UsageError: they are of one class.
    """
    train = machines.where(is_enrolled(clip) for clip in machines.clips)
    if not train.clips:
        raise AudioError("no normal training clips", fix="name a tree with a train split")
    names = sorted({clip.label for clip in train.clips})
    classes = np.array([names.index(clip.label) for clip in train.clips], np.int64)
    network = train_shallow_classifier(train.vectors, classes, recipe, run_directory, seed=seed, progress=progress)
    return MachineVectors(machines.clips, shallow_vectors(network, machines.vectors, recipe.time_mean))


def judge_sections(
    machines: MachineVectors, backend: str = "cosine", params: Mapping[str, Any] = COSINE
) -> list[JudgedSection]:
    """Every section that has normal training clips, and test clips of both conditions.

    Args:
        machines: vectors without time (n, dim): an encoder's own, or a classifier's.
        backend: name of a back end of `edged.score`; `params` are its parameters.
    """
    dim = machines.vectors.shape[1]
    spec = RepresentationSpec(name=NAME, source="features", dim=dim, backend=backend, params=dict(params))
    sections = sorted({(clip.machine, clip.section) for clip in machines.clips})
    judged = (_judge_section(machines, section, spec) for section in sections)
    return [section for section in judged if section is not None]


def is_enrolled(clip: MachineClip) -> bool:
    """Whether a clip is a normal one of the training split."""
    return clip.split == "train" and clip.condition == "normal"


def _judge_section(
    machines: MachineVectors, section: tuple[str, str], spec: RepresentationSpec
) -> JudgedSection | None:
    own = machines.where((clip.machine, clip.section) == section for clip in machines.clips)
    enrolled = own.where(is_enrolled(clip) for clip in own.clips)
    test = own.where(clip.split == "test" and clip.condition != "unknown" for clip in own.clips)
    if not enrolled.clips or len({clip.condition for clip in test.clips}) < 2:
        return None
    domains = tuple(clip.reference_domain for clip in enrolled.clips)
    references = References(enrolled.vectors, domains, np.arange(len(enrolled.clips)))
    scorer = fit_anomaly([spec], {NAME: references})
    normal = scorer.normal_scores
    return JudgedSection(
        machine=section[0],
        section=section[1],
        scores=scorer.scores({NAME: test.vectors}),
        is_anomalous=np.array([clip.condition == "anomaly" for clip in test.clips]),
        domains=tuple(clip.reference_domain for clip in test.clips),
        paths=tuple(clip.path for clip in test.clips),
        normal_scores=normal[np.isfinite(normal)],
    )
