"""Any ONNX encoder as a source of embeddings (thesis 5.5).

clip at 16 kHz -> encoder's rate -> windows -> (log-mel) -> network -> (time, dim)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from edged.errors import AudioError, BundleError
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.external.log_mel import log_mel_frames
from trainer.external.session import MAX_RUN_S, BoundedSession
from trainer.external.sidecar import read_sidecar
from trainer.external.signature import as_sequences, input_port, output_name, window_samples
from trainer.external.windows import window_batches

WINDOWS_PER_RUN = 16


class Encoder(Protocol):
    """What turns a clip into vectors over time."""

    @property
    def label(self) -> str:
        """Short name."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    def vectors(self, clip: Float32Array) -> Float32Array:
        """float32 (n_samples,) at 16 kHz -> (time, dim), at least one row."""


def require_sound(label: str, clip: Float32Array) -> None:
    """Refuse what no encoder can take.

    Raises:
        AudioError: an empty clip, or one that is not finite.
    """
    if clip.ndim != 1 or not len(clip) or not np.isfinite(clip).all():
        raise AudioError(f"{label}: the clip is empty or not finite", fix="record it again")


@dataclass(frozen=True)
class EncoderDescription:
    """What an encoder needs and gives, for people.

    Attributes:
        shape: of the input; None where the file leaves a length open.
        window_s: None for whole clips.
        provider: what it runs on.
    """

    input: str
    axes: tuple[str, ...]
    shape: tuple[int | None, ...]
    dtype: str
    output: str
    dim: int
    sample_rate_hz: int
    window_s: float | None
    hop_s: float | None
    provider: str

    def __str__(self) -> str:
        sizes = ", ".join(f"{axis} {size or 'any'}" for axis, size in zip(self.axes, self.shape, strict=True))
        window = f"windows of {self.window_s:g} s every {self.hop_s:g} s" if self.window_s else "whole clips"
        takes = f"takes '{self.input}' ({sizes}; {self.dtype}) at {self.sample_rate_hz} Hz, {window}"
        return f"{takes}; gives '{self.output}' ({self.dim} values); {self.provider}"


class OnnxEncoder:
    """A loaded encoder, tried once on noise.

    Args:
        path: the ONNX file; `path` with the suffix ``.yaml`` is its sidecar, if there is one.
        n_threads: intra-op threads.
        max_run_s: limit of one run of the network.

    Raises:
        BundleError: the file is not an encoder of audio, or does not run.
        ConfigError: the sidecar cannot be used.
    """

    def __init__(self, path: Path, n_threads: int = 1, max_run_s: float = MAX_RUN_S) -> None:
        self._path = path
        self._sidecar = read_sidecar(path.with_suffix(".yaml"))
        self._session = BoundedSession(path, n_threads, max_run_s)
        self._port = input_port(path, self._session.inputs, self._sidecar)
        self._window = window_samples(path, self._port, self._sidecar)
        self._output = output_name(path, self._session.outputs, self._sidecar)
        self._dim = self._try_out()

    @property
    def label(self) -> str:
        """The file's name."""
        return self._path.stem

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    @property
    def hop_samples(self) -> int | None:
        """From window to window at the encoder's rate; None for whole clips."""
        hop_s = self._sidecar.hop_s
        return max(1, round(hop_s * self._sidecar.sample_rate_hz)) if hop_s else self._window

    def describe(self) -> EncoderDescription:
        """What it needs and gives."""
        port, rate_hz, hop = self._port, self._sidecar.sample_rate_hz, self.hop_samples
        return EncoderDescription(
            input=port.name,
            axes=tuple(port.axes),
            shape=port.shape,
            dtype=port.dtype.name,
            output=self._output,
            dim=self._dim,
            sample_rate_hz=rate_hz,
            window_s=self._window / rate_hz if self._window else None,
            hop_s=hop / rate_hz if hop else None,
            provider=self._session.provider,
        )

    def vectors(self, clip: Float32Array) -> Float32Array:
        """Vectors of all windows, one after another: float32 (n_samples,) at 16 kHz -> (time, dim).

        Raises:
            AudioError: an empty clip, or one that is not finite.
            BundleError: the network failed, or gave something else than embeddings.
        """
        require_sound(self.label, clip)
        sequences = [self._run(batch) for batch in self._batches(clip)]
        result = np.concatenate([rows.reshape(-1, rows.shape[-1]) for rows in sequences])
        if result.shape[1] != self._dim:
            fix = "export it with a fixed length of its embedding"
            raise BundleError(f"{self._path}: gives {result.shape[1]} values now, {self._dim} before", fix=fix)
        return result

    def _batches(self, clip: Float32Array) -> Iterator[Float32Array]:
        """(n_windows, n_samples) or (n_windows, n_frames, n_mels) of each run, in the encoder's units."""
        sidecar = self._sidecar
        samples = clip
        if sidecar.sample_rate_hz != SAMPLE_RATE_HZ:
            samples = soxr.resample(clip, SAMPLE_RATE_HZ, sidecar.sample_rate_hz).astype(np.float32)
        window = self._window or len(samples)
        if sidecar.log_mel is not None and window < sidecar.log_mel.n_fft:
            raise AudioError(f"{self.label}: {window} samples hold no frame", fix="use longer clips or windows")
        size, hop = self._port.batch or WINDOWS_PER_RUN, self.hop_samples or window
        for windows in window_batches(samples * self._full_scale(), window, hop, size):
            if sidecar.log_mel is None:
                yield windows
            else:
                yield np.stack([log_mel_frames(one, sidecar.log_mel, sidecar.sample_rate_hz) for one in windows])

    def _full_scale(self) -> np.float32:
        is_integer = self._port.dtype.kind == "i" and self._sidecar.log_mel is None
        usual = float(np.iinfo(self._port.dtype).max) if is_integer else 1.0
        return np.float32(self._sidecar.full_scale or usual)

    def _run(self, windows: Float32Array) -> Float32Array:
        """One batch, filled up where the network fixes its size: -> (n_windows, time, dim)."""
        size = self._port.batch or len(windows)
        filled = np.concatenate([windows, np.repeat(windows[-1:], size - len(windows), axis=0)])
        values: NDArray[Any] = self._session.run(self._output, {self._port.name: self._port.arrange(filled)})
        return as_sequences(self._path, values, self._port, size)[: len(windows)]

    def _try_out(self) -> int:
        """Length of a vector, from a second of noise."""
        noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE_HZ).astype(np.float32) * np.float32(0.01)
        return int(self._run(next(self._batches(noise))).shape[-1])
