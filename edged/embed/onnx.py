"""The ONNX Runtime embedder: the only module that imports onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from edged.embed.bundle import Bundle, ModelSpec, TensorSpec
from edged.errors import BundleError
from edged.flow import Embedding, Float32Array, Segment


class OnnxEmbedder:
    """Runs a bundle's model on the CPU, one segment at a time.

    One segment per call costs a CPU nothing and keeps every result independent of what else was in the batch, so the
    live daemon and the offline commands give the same bits.

    Args:
        bundle: verified bundle; one without a model passes its features through.
        n_threads: intra-op threads; small networks gain nothing from more than one.

    Raises:
        BundleError: the model cannot be loaded or is not what the manifest says.
    """

    def __init__(self, bundle: Bundle, n_threads: int = 1) -> None:
        self._representations = bundle.manifest.representations
        self._model = bundle.manifest.model
        self._session = _open_session(bundle.model_path, n_threads) if bundle.model_path else None
        if self._session and self._model:
            _check_signature(self._session, self._model, bundle.directory)

    @property
    def provider(self) -> str:
        """The execution provider in use, or ``none`` for a bundle without a model."""
        return str(self._session.get_providers()[0]) if self._session else "none"

    def embed(self, segments: Sequence[Segment]) -> list[Embedding]:
        """One embedding per segment, in order.

        Raises:
            BundleError: the model gave something that is not finite.
        """
        return [self._embed_one(segment) for segment in segments]

    def _embed_one(self, segment: Segment) -> Embedding:
        outputs = self._run(segment)
        vectors = {
            spec.name: (outputs if spec.source == "model" else segment.features)[spec.name]
            for spec in self._representations
        }
        return Embedding(segment.sample_start, segment.sample_end, vectors, segment.epoch, segment.input)

    def _run(self, segment: Segment) -> dict[str, Float32Array]:
        if self._session is None or self._model is None:
            return {}
        feeds = {spec.name: segment.features[spec.name][np.newaxis] for spec in self._model.inputs}
        values = self._session.run([spec.name for spec in self._model.outputs], feeds)
        return {spec.name: _checked(value[0], spec) for spec, value in zip(self._model.outputs, values, strict=True)}


def _open_session(path: Path, n_threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has no base class for its exceptions
        first_line = str(error).splitlines()[0]
        raise BundleError(f"{path}: cannot be loaded: {first_line}", fix="export the bundle again") from error


def _checked(value: Float32Array, spec: TensorSpec) -> Float32Array:
    if value.shape != spec.shape or not np.isfinite(value).all():
        what = f"of shape {value.shape}, not {spec.shape}" if value.shape != spec.shape else "not finite"
        raise BundleError(f"the model's output '{spec.name}' is {what}", fix="verify or replace the bundle")
    return value


def _check_signature(session: ort.InferenceSession, model: ModelSpec, directory: Path) -> None:
    for role, declared, actual in (
        ("input", model.inputs, session.get_inputs()),
        ("output", model.outputs, session.get_outputs()),
    ):
        shapes = {node.name: tuple(node.shape[1:]) for node in actual}
        for spec in declared:
            found = shapes.get(spec.name)
            if found is None or not _fits(found, spec.shape):
                shown = found if found is not None else "nothing of that name"
                raise BundleError(f"{directory}: model {role} '{spec.name}' is {shown}, manifest says {spec.shape}")


def _fits(found: tuple[int | str | None, ...], declared: tuple[int, ...]) -> bool:
    """Whether a shape agrees with the manifest wherever the exporter fixed it; the rest is checked at every run."""
    return len(found) == len(declared) and all(
        not isinstance(size, int) or size == wanted for size, wanted in zip(found, declared, strict=True)
    )
