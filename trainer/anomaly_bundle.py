"""Writes an anomaly bundle: front end, network (or none), the scored representations and their weights."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edged.decide.thresholds import ALARM_SPREADS
from edged.embed.bundle import Bundle, Manifest, ModelSpec, RepresentationSpec, TensorSpec, write_bundle
from edged.features.anomaly import AnomalySpec, segment_features
from trainer.export import OPSET, export_onnx, parity_gate

EMBEDDING = "embedding"

STATISTICS: dict[str, tuple[Any, ...]] = {"quiet": ("p5",), "change": ("change",)}
"""The default statistics: the machine under passing noises, and its liveliness: tones, roughness, strikes."""


def statistics_representations(spec: AnomalySpec) -> tuple[RepresentationSpec, ...]:
    """The default back ends of `STATISTICS`; chosen on real and synthetic machines together (trainer/README.md)."""
    choices: tuple[tuple[str, str, float, dict[str, str | int | float | bool]], ...] = (
        ("quiet", "shrinkage", 2.0, {"standardise": False}),
        ("change", "density", 1.0, {"n_neighbours": 1, "max_ratio": 2.0}),
    )
    return tuple(
        RepresentationSpec(
            name=name, source="features", dim=spec.shape(name)[0], backend=backend, params=params, weight=weight
        )
        for name, backend, weight, params in choices
    )


def embedding_representation(dim: int, weight: float, backend: str = "cosine") -> RepresentationSpec:
    """The network's output.

    Args:
        backend: ``cosine`` to k-means centres and targets (thesis 5.3.1), ``shrinkage`` or ``density``.
    """
    params: dict[str, dict[str, str | int | float | bool]] = {
        "cosine": {"n_clusters": 16, "seed": 0},
        "shrinkage": {"standardise": False},
        "density": {"metric": "euclidean", "n_neighbours": 1, "max_ratio": 2.0},
    }
    return RepresentationSpec(
        name=EMBEDDING, source="model", dim=dim, backend=backend, params=params[backend], weight=weight
    )


def write_anomaly_bundle(
    directory: Path,
    spec: AnomalySpec,
    representations: Sequence[RepresentationSpec],
    *,
    version: str,
    network: nn.Module | None = None,
    training: Mapping[str, Any] | None = None,
    card: str = "",
) -> Bundle:
    """Export, check and write.

    Args:
        directory: the bundle's place; replaced when it exists.
        spec: the front end; its `inputs` are the network's, in order.
        representations: what is scored.
        network: gives the embedding (batch, dim), or None for statistics alone.
        training: recipe and data summary for the manifest.

    Raises:
        BundleError: ONNX and torch differ, or the bundle does not verify.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx" if network is not None else None
        model, parity = None, {}
        if network is not None and path is not None:
            examples = example_inputs(spec)
            export_onnx(network, examples, [EMBEDDING], path)
            parity = parity_gate(network, path, examples)
            model = _model_spec(network, examples)
        manifest = Manifest(
            kind="anomaly",
            id="edged-anomaly",
            version=version,
            segment_samples=spec.segment_samples,
            hop_samples=spec.hop_samples,
            features=spec.model_dump(mode="json"),
            features_digest=spec.digest(),
            model=model,
            representations=tuple(representations),
            score_direction="higher_is_more_anomalous",
            decision={"threshold_method": "mst-sd", "threshold_spreads": ALARM_SPREADS},
            training=dict(training or {}),
            parity=parity,
        )
        return write_bundle(directory, manifest, model=path, card=card)


def example_inputs(spec: AnomalySpec, n_segments: int = 3) -> dict[str, Tensor]:
    """Inputs of real shape and scale: noise with tones, as the front end sees them."""
    rng = np.random.default_rng(0)
    time_s = np.arange(spec.segment_samples) / spec.sample_rate_hz
    signals = [
        0.05 * rng.standard_normal(spec.segment_samples) + 0.1 * np.sin(2 * np.pi * 300.0 * (k + 1) * time_s)
        for k in range(n_segments)
    ]
    segments = [segment_features(signal.astype(np.float32), spec) for signal in signals]
    return {name: torch.from_numpy(np.stack([s[name] for s in segments])) for name in spec.inputs}


def _model_spec(network: nn.Module, examples: Mapping[str, Tensor]) -> ModelSpec:
    with torch.no_grad():
        embedding = network.eval()(*examples.values())
    inputs = tuple(TensorSpec(name=name, shape=tuple(value.shape[1:])) for name, value in examples.items())
    output = TensorSpec(name=EMBEDDING, shape=tuple(embedding.shape[1:]))
    return ModelSpec(opset=OPSET, inputs=inputs, outputs=(output,))
