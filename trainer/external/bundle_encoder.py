"""An edged bundle as an external encoder: the network it holds, with its own front end."""

from __future__ import annotations

from functools import cached_property
from importlib import resources
from pathlib import Path

import numpy as np

from edged.embed.bundle import Bundle, load_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.errors import BundleError
from edged.features.anomaly import AnomalySpec, clip_segments
from edged.features.keyword import KeywordFeatures, KeywordSpec
from edged.flow import SAMPLE_RATE_HZ, Block, Float32Array, Segment
from trainer.external.encoder import Encoder, OnnxEncoder, require_sound
from trainer.external.sidecar import WINDOW_S

SHIPPED = ("anomaly", "keyword")


class BundleEncoder:
    """Vectors of whole segments (anomaly bundles), or means over 960 ms of those of frames (keyword bundles).

    Raises:
        BundleError: the bundle holds no network.
    """

    def __init__(self, bundle: Bundle) -> None:
        chosen = [spec for spec in bundle.manifest.representations if spec.source == "model"]
        if not chosen:
            raise BundleError(f"{bundle.directory}: holds no network", fix="name a bundle with a model")
        self._bundle = bundle
        self._name, self._dim = chosen[0].name, chosen[0].dim
        self._embedder = OnnxEmbedder(bundle)

    @property
    def label(self) -> str:
        """The bundle's id."""
        return self._bundle.manifest.id

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    def vectors(self, clip: Float32Array) -> Float32Array:
        """float32 (n_samples,) at 16 kHz -> (time, dim).

        Raises:
            AudioError: an empty clip, or one that is not finite.
        """
        require_sound(self.label, clip)
        rows = [embedding.vectors[self._name] for embedding in self._embedder.embed(self._segments(clip))]
        if self._bundle.manifest.kind == "anomaly":
            return np.stack(rows)
        n_frames = -(-len(clip) // self._keyword_spec.hop_samples)
        return block_means(np.concatenate(rows)[:n_frames], self._frames_per_window)

    def _segments(self, clip: Float32Array) -> list[Segment]:
        if self._bundle.manifest.kind == "anomaly":
            return clip_segments(clip, AnomalySpec.model_validate(self._bundle.manifest.features))
        features = KeywordFeatures(self._keyword_spec)
        return features.push(Block(0, clip)) + features.flush()

    @cached_property
    def _keyword_spec(self) -> KeywordSpec:
        return KeywordSpec.model_validate(self._bundle.manifest.features)

    @property
    def _frames_per_window(self) -> int:
        return max(1, round(WINDOW_S * SAMPLE_RATE_HZ / self._keyword_spec.hop_samples))


def block_means(rows: Float32Array, n_rows: int) -> Float32Array:
    """Means of `n_rows` rows each; rows left over count only where there is nothing else: (n, dim) -> (n_blocks, dim).

    >>> block_means(np.array([[0.0], [2.0], [5.0]], np.float32), 2).tolist()
    [[1.0]]
    """
    if len(rows) < n_rows:
        return np.asarray(rows.mean(axis=0, keepdims=True), np.float32)
    whole = rows[: len(rows) // n_rows * n_rows]
    result: Float32Array = whole.reshape(-1, n_rows, rows.shape[1]).mean(axis=1)
    return result


def open_encoder(name: str) -> Encoder:
    """An encoder by name: ``anomaly`` or ``keyword`` (shipped bundles), the folder of a bundle, or an ONNX file.

    Raises:
        BundleError: nothing there, or nothing that can be used.
        ConfigError: the ONNX file's sidecar cannot be used.
    """
    if name in SHIPPED:
        return BundleEncoder(load_bundle(Path(str(resources.files("edged"))) / "bundles" / name))
    path = Path(name)
    return BundleEncoder(load_bundle(path)) if path.is_dir() else OnnxEncoder(path)
