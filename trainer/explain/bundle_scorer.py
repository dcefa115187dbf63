"""A bundle fitted to normal clips, taken apart: what each representation adds to the anomaly score of a segment.

anomaly score = sum over representations of  weight (distance - centre) / spread / all weights
                                             `------------- contribution --------------------'
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from edged.decide.thresholds import ALARM_SPREADS, alarm_threshold
from edged.embed.bundle import Bundle
from edged.embed.onnx import OnnxEmbedder
from edged.errors import EnrolmentError, UsageError
from edged.features.anomaly import AnomalySpec, clip_segments
from edged.flow import Embedding, Float32Array, Float64Array, Segment
from edged.score.anomaly import AnomalyScorer, Part
from trainer.evaluate.anomaly import Vectors, fit
from trainer.explain.importance import ScoreImages

IMAGES = ("log_mel", "spectrogram")
"""Network inputs with a time and a frequency axis."""


@dataclass(frozen=True)
class FittedBundle:
    """What `fit_bundle` gives.

    Attributes:
        bundle: of kind anomaly.
        spec: its front end.
        embedder: the runtime's own.
        scorer: as enrolment fits it.
        threshold: the daemon's alarm threshold for these normal clips.
        means: representation name -> (dim,), the mean of the normal segments.
        image_name: the network input that maps explain, or None where no image is scored.
        hidden: float32 (1, n_bins), each band's mean over all frames of the normal clips: what a hidden value becomes.
    """

    bundle: Bundle
    spec: AnomalySpec
    embedder: OnnxEmbedder
    scorer: AnomalyScorer
    threshold: float
    means: Mapping[str, Float32Array]
    image_name: str | None
    hidden: Float32Array

    def parts(self, source: str) -> list[Part]:
        """The scored representations of a source, ``model`` or ``features``."""
        names = {s.name for s in self.bundle.manifest.representations if s.source == source}
        return [part for part in self.scorer.parts if part.name in names]

    def contribution(self, part: Part, vectors: Float32Array) -> Float64Array:
        """What a representation adds to the anomaly score: (n, dim) -> (n,)."""
        total = sum(p.weight for p in self.scorer.parts)
        return part.weight / total * part.normalised(part.backend.distance(vectors))

    def network_scores(self, segment: Segment) -> ScoreImages:
        """Scorer of other images in the place of a segment's own; its other inputs stay as they are."""
        name = self.image_name or ""

        def scores_of(images: Float32Array) -> Float64Array:
            segments = [replace(segment, features={**segment.features, name: image}) for image in images]
            vectors = stacked(self.embedder.embed(segments))
            parts = [self.contribution(part, vectors[part.name]) for part in self.parts("model")]
            return np.asarray(np.sum(parts, axis=0))

        return scores_of


def fit_bundle(bundle: Bundle, clips: Iterable[Float32Array]) -> FittedBundle:
    """Enrol clips of normal sound, one after another.

    With an image in dB a hidden value becomes the mean level that normal clips have in its band. A spectrogram without
    its temporal mean has a mean of 0 by itself, so there a hidden value becomes 0, as in the thesis.

    Args:
        clips: float32 (n_samples,) each, at 16 kHz.

    Raises:
        UsageError: the bundle is not one for machine sounds.
        EnrolmentError: fewer than two clips.
    """
    if bundle.manifest.kind != "anomaly":
        raise UsageError(f"{bundle.directory}: a bundle for {bundle.manifest.kind}s", fix="name one of kind anomaly")
    spec = AnomalySpec.model_validate(bundle.manifest.features)
    embedder = OnnxEmbedder(bundle)
    image_name = _explained_image(bundle)
    enrolled: list[Vectors] = []
    levels: list[Float32Array] = []
    for clip in clips:
        segments = clip_segments(clip, spec)
        enrolled.append(stacked(embedder.embed(segments)))
        levels += [segment.features[image_name].mean(axis=0) for segment in segments if image_name]
    if len(enrolled) < 2:
        raise EnrolmentError(f"{len(enrolled)} normal clips are too few", fix="name at least two recordings")
    scorer = fit(enrolled, bundle.manifest.representations)
    spreads = float(bundle.manifest.decision.get("threshold_spreads", ALARM_SPREADS))
    return FittedBundle(
        bundle,
        spec,
        embedder,
        scorer,
        alarm_threshold(scorer.normal_scores, spreads=spreads),
        {part.name: np.concatenate([v[part.name] for v in enrolled]).mean(axis=0) for part in scorer.parts},
        image_name,
        np.mean(levels, axis=0, keepdims=True, dtype=np.float32) if levels else np.zeros((1, 0), np.float32),
    )


def stacked(embeddings: Iterable[Embedding]) -> dict[str, Float32Array]:
    """Representation name -> (n_segments, dim)."""
    vectors = [embedding.vectors for embedding in embeddings]
    return {name: np.stack([v[name] for v in vectors]) for name in vectors[0]}


def _explained_image(bundle: Bundle) -> str | None:
    """The first image among the network's inputs, if what the network gives is scored at all."""
    manifest = bundle.manifest
    is_scored = any(s.source == "model" and s.weight > 0 for s in manifest.representations)
    inputs = [tensor.name for tensor in manifest.model.inputs] if manifest.model and is_scored else []
    return next((name for name in inputs if name in IMAGES), None)
