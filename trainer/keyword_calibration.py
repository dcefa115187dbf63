"""Gives a keyword bundle a new background, and the decision that goes with it, without training anything.

background sound -> the bundle's own front end and network, as the daemon runs them -> rows at four bits a value
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edged.embed.bundle import Bundle, load_bundle, write_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.errors import BundleError
from edged.flow import Float32Array
from edged.pipeline import embed_signal
from trainer.data.background_speech import background_scenes
from trainer.data.speech_corpus import Material
from trainer.keyword_bundle import GENERAL_DECISION, Decision, background_arrays


def calibrated(
    source: Path,
    out: Path,
    material: Material,
    duration_s: float,
    *,
    seed: int = 0,
    decision: Decision = GENERAL_DECISION,
    version: str | None = None,
) -> Bundle:
    """A copy of a bundle that holds so much background.

    Args:
        material: of which the background is made; the same and the same seed give the same.
        version: of the copy; None: the bundle's own.

    Raises:
        BundleError: it is no keyword bundle, or cannot be read or run.
    """
    bundle = load_bundle(source)
    if bundle.manifest.kind != "keyword" or bundle.model_path is None:
        raise BundleError(f"{source}: is no keyword bundle with a model", fix="name the directory of one")
    rows = background_of(bundle, background_scenes(np.random.default_rng((seed, 12)), material, duration_s))
    facts: Mapping[str, Any] = {"background_s": round(duration_s, 1), "background_seed": seed}
    manifest = bundle.manifest.model_copy(
        update={
            "decision": {**bundle.manifest.decision, **vars(decision)},
            "training": {**bundle.manifest.training, **facts},
            "version": version or bundle.manifest.version,
            "files": {},
        }
    )
    return write_bundle(
        out,
        manifest,
        model=bundle.model_path,
        typed_models=bundle.typed_models,
        calibration=background_arrays(rows),
        card=bundle.card,
    )


def background_of(bundle: Bundle, scenes: Sequence[Float32Array]) -> Float32Array:
    """Embeddings of scenes, one after the other: float32 (n_rows, dim)."""
    embedder, name = OnnxEmbedder(bundle), bundle.manifest.representations[0].name
    hop_samples = int(bundle.manifest.features["hop_samples"])
    rows = []
    for samples in scenes:
        whole = np.concatenate([one.vectors[name] for one in embed_signal(samples, bundle, embedder)])
        rows.append(whole[: -(-len(samples) // hop_samples)])
    return np.concatenate(rows)
