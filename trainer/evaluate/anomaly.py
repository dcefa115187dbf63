"""Scoring clips with a bundle, as enrolment and `edged score --clip` do it, for experiments that enrol many times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from edged.embed.bundle import Bundle, RepresentationSpec
from edged.embed.onnx import OnnxEmbedder
from edged.features.anomaly import AnomalySpec, clip_segments
from edged.flow import Float32Array, Float64Array
from edged.score.anomaly import AnomalyScorer, fit_anomaly
from edged.score.references import SOURCE, References

Vectors = Mapping[str, Float32Array]
"""Representation name -> one row per segment of a clip: (n_segments, dim)."""


def product_vectors(bundle: Bundle) -> Callable[[Float32Array], Vectors]:
    """What the daemon would score: clip -> representation -> (n_segments, dim)."""
    spec = AnomalySpec.model_validate(bundle.manifest.features)
    embedder = OnnxEmbedder(bundle)

    def vectors_of(clip: Float32Array) -> Vectors:
        embeddings = embedder.embed(clip_segments(clip, spec))
        return {s.name: np.stack([e.vectors[s.name] for e in embeddings]) for s in bundle.manifest.representations}

    return vectors_of


def fit(enrolled: Sequence[Vectors], specs: Sequence[RepresentationSpec]) -> AnomalyScorer:
    """A scorer for these clips, as enrolment fits it."""
    rows = [len(next(iter(clip.values()))) for clip in enrolled]
    numbers = np.repeat(np.arange(len(enrolled)), rows)
    return fit_anomaly(
        specs,
        {
            s.name: References(np.concatenate([c[s.name] for c in enrolled]), (SOURCE,) * len(numbers), numbers)
            for s in specs
        },
    )


def clip_scores(scorer: AnomalyScorer, clips: Sequence[Vectors]) -> Float64Array:
    """Mean over a clip's segments, as `edged score --clip` reports it."""
    return np.array([scorer.scores(clip).mean() for clip in clips])


def model_label(bundle: Bundle) -> str:
    """Identity of what was measured: id, version and the start of the network's sha256 (the card may change)."""
    digest = bundle.manifest.files.get("model.onnx", "no network")
    return f"{bundle.manifest.id}@{bundle.manifest.version} (network {digest[:12]})"


def write_between_marks(path: Path, text: str, marks: tuple[str, str]) -> None:
    """Replace what stands between the marks of a document."""
    before, rest = path.read_text(encoding="utf-8").split(marks[0])
    after = rest.split(marks[1])[1]
    path.write_text(f"{before}{marks[0]}\n{text}\n{marks[1]}{after}", encoding="utf-8")
