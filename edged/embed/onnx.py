"""The ONNX Runtime embedder: the only module that imports onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from edged.embed.bundle import Bundle, ModelSpec, TensorSpec
from edged.errors import AcceleratorError, BundleError
from edged.flow import Embedding, Float32Array, Segment

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_MOST_AT_ONCE = 32


def has_cuda() -> bool:
    """Whether this build of ONNX Runtime can use a GPU; whether there is one shows when a model is loaded."""
    return _CUDA in ort.get_available_providers()


class OnnxEmbedder:
    """Runs a bundle's model, on the CPU one segment at a time.

    One segment per call costs a CPU nothing and keeps every result independent of what else was in the batch, so the
    live daemon and the offline commands give the same bits. A GPU takes batches.

    Args:
        bundle: verified bundle; one without a model passes its features through.
        n_threads: intra-op threads; small networks gain nothing from more than one.
        on_gpu: by CUDA.

    Raises:
        BundleError: the model cannot be loaded or is not what the manifest says.
        AcceleratorError: CUDA cannot be used.
    """

    def __init__(self, bundle: Bundle, n_threads: int = 1, *, on_gpu: bool = False) -> None:
        self._representations = bundle.manifest.representations
        self._model = bundle.manifest.model
        self._session = _open_session(bundle.model_path, n_threads, on_gpu) if bundle.model_path else None
        if on_gpu and self.provider != _CUDA:
            raise AcceleratorError(f"ONNX Runtime cannot use the GPU, only {self.provider}", fix="check CUDA and cuDNN")
        self._at_once = _MOST_AT_ONCE if on_gpu else 1
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
            AcceleratorError: the GPU failed.
        """
        batches = (segments[at : at + self._at_once] for at in range(0, len(segments), self._at_once))
        return [
            self._embedding(segment, {name: values[row] for name, values in outputs.items()})
            for batch in batches
            for outputs in [self._run(batch)]
            for row, segment in enumerate(batch)
        ]

    def close(self) -> None:
        """Release the GPU's memory, if it has any."""
        self._session = None

    def _embedding(self, segment: Segment, outputs: Mapping[str, Float32Array]) -> Embedding:
        vectors = {
            spec.name: (outputs if spec.source == "model" else segment.features)[spec.name]
            for spec in self._representations
        }
        return Embedding(segment.sample_start, segment.sample_end, vectors, segment.epoch, segment.input)

    def _run(self, batch: Sequence[Segment]) -> dict[str, list[Float32Array]]:
        """The outputs for each segment, by name."""
        if self._session is None or self._model is None:
            return {}
        feeds = {spec.name: np.stack([segment.features[spec.name] for segment in batch]) for spec in self._model.inputs}
        values = self._computed(feeds)
        return {
            spec.name: [_checked(value, spec) for value in rows]
            for spec, rows in zip(self._model.outputs, values, strict=True)
        }

    def _computed(self, feeds: Mapping[str, Float32Array]) -> list[Float32Array]:
        assert self._session is not None  # noqa: S101 - the caller looked
        assert self._model is not None  # noqa: S101
        names = [spec.name for spec in self._model.outputs]
        if self.provider != _CUDA:
            return list(self._session.run(names, feeds))
        try:
            return list(self._session.run(names, feeds))
        except Exception as error:  # the runtime has no base class for its exceptions
            raise AcceleratorError(f"the GPU failed: {str(error).splitlines()[0]}") from error


def _open_session(path: Path, n_threads: int, on_gpu: bool) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(str(path), options, providers=[_CUDA, _CPU] if on_gpu else [_CPU])
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
