"""What an ONNX encoder takes and gives, read from the file and checked against its sidecar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edged.errors import BundleError
from edged.flow import Float32Array
from trainer.external.log_mel import samples_of_frames
from trainer.external.sidecar import WINDOW_S, Axis, EncoderSidecar

DTYPES: dict[str, DTypeLike] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
}
WAVEFORM_LAYOUTS: dict[int, tuple[Axis, ...]] = {
    1: ("samples",),
    2: ("batch", "samples"),
    3: ("batch", "channel", "samples"),
}
LOG_MEL_LAYOUTS: dict[int, tuple[Axis, ...]] = {
    2: ("time", "mel"),
    3: ("batch", "time", "mel"),
    4: ("batch", "channel", "time", "mel"),
}
MAX_WINDOW_SAMPLES = 1 << 25
MAX_OUTPUT_VALUES = 1 << 24
"""Of one window."""


@dataclass(frozen=True)
class InputPort:
    """The one input.

    Attributes:
        axes: what each axis is.
        shape: their lengths; None where the file leaves one open.
    """

    name: str
    dtype: np.dtype[Any]
    axes: tuple[Axis, ...]
    shape: tuple[int | None, ...]

    def length(self, axis: Axis) -> int | None:
        """Of an axis; None if it is open, or if there is none."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else None

    @property
    def batch(self) -> int | None:
        """Windows per run: None for any number."""
        return self.length("batch") if "batch" in self.axes else 1

    def arrange(self, windows: Float32Array) -> NDArray[Any]:
        """(batch, samples) or (batch, time, mel) -> the input's axes and type."""
        content: list[Axis] = ["batch", "samples"] if windows.ndim == 2 else ["batch", "time", "mel"]
        order = [content.index(axis) for axis in self.axes if axis in content]
        values = windows.transpose(order) if "batch" in self.axes else windows[0].transpose([i - 1 for i in order])
        if "channel" in self.axes:
            values = np.expand_dims(values, self.axes.index("channel"))
        return np.ascontiguousarray(_rounded(values, self.dtype) if self.dtype.kind == "i" else values, self.dtype)


def _rounded(values: Float32Array, dtype: np.dtype[Any]) -> NDArray[Any]:
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max)


def input_port(path: Path, inputs: Sequence[Any], sidecar: EncoderSidecar) -> InputPort:
    """Describe the input.

    Raises:
        BundleError: several inputs, a type or a rank that no audio has, or a shape that the sidecar contradicts.
    """
    if len(inputs) != 1:
        names = ", ".join(repr(value.name) for value in inputs)
        raise BundleError(f"{path}: takes {len(inputs)} inputs ({names})", fix="export it with audio as its only input")
    (value,) = inputs
    if value.type not in DTYPES:
        raise BundleError(f"{path}: '{value.name}' is {value.type}", fix=f"export it for one of {', '.join(DTYPES)}")
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in value.shape)
    port = InputPort(value.name, np.dtype(DTYPES[value.type]), _axes(path, value.name, len(shape), sidecar), shape)
    _check_shape(path, port, sidecar)
    return port


def _axes(path: Path, name: str, rank: int, sidecar: EncoderSidecar) -> tuple[Axis, ...]:
    layouts = LOG_MEL_LAYOUTS if sidecar.log_mel else WAVEFORM_LAYOUTS
    axes = sidecar.layout or layouts.get(rank, ())
    if len(axes) != rank or rank == 0:
        kind = "log-mel" if sidecar.log_mel else "waveform"
        fix = "name its axes under 'layout' in the sidecar, and its log_mel if it wants one"
        raise BundleError(f"{path}: '{name}' has {rank} axes, which is no {kind}", fix=fix)
    return axes


def _check_shape(path: Path, port: InputPort, sidecar: EncoderSidecar) -> None:
    channels, bands = port.length("channel"), port.length("mel")
    if channels not in {None, 1}:
        raise BundleError(f"{path}: '{port.name}' has {channels} channels", fix="export it for one channel")
    if sidecar.log_mel and bands not in {None, sidecar.log_mel.n_mels}:
        fix = "set log_mel.n_mels in the sidecar, or its layout"
        raise BundleError(f"{path}: '{port.name}' has {bands} bands, not {sidecar.log_mel.n_mels}", fix=fix)
    if (port.batch or 1) > 1024:
        raise BundleError(
            f"{path}: '{port.name}' wants {port.batch} windows at once", fix="export it with a free batch"
        )


def window_samples(path: Path, port: InputPort, sidecar: EncoderSidecar) -> int | None:
    """Length of a window at the encoder's rate; None for whole clips.

    Raises:
        BundleError: the sidecar contradicts the length the network fixes, or the window is absurd.
    """
    fixed = port.length("time" if sidecar.log_mel else "samples")
    if fixed is None:
        return None if sidecar.whole_clip else round((sidecar.window_s or WINDOW_S) * sidecar.sample_rate_hz)
    n_samples = samples_of_frames(fixed, sidecar.log_mel) if sidecar.log_mel else fixed
    if n_samples > MAX_WINDOW_SAMPLES:
        raise BundleError(f"{path}: a window of {n_samples} samples", fix="export it for shorter windows")
    asked = round((sidecar.window_s or n_samples / sidecar.sample_rate_hz) * sidecar.sample_rate_hz)
    slack = sidecar.log_mel.hop_samples if sidecar.log_mel else 1
    if sidecar.whole_clip or not n_samples <= asked < n_samples + slack:
        fix = f"remove whole_clip and window_s, or set window_s to {n_samples / sidecar.sample_rate_hz:g}"
        raise BundleError(f"{path}: the network takes windows of {n_samples} samples and no others", fix=fix)
    return asked


def output_name(path: Path, outputs: Sequence[Any], sidecar: EncoderSidecar) -> str:
    """The output that is the embedding.

    Raises:
        BundleError: several to choose from, none of the name, not a float, or larger than any embedding.
    """
    names = [value.name for value in outputs]
    if sidecar.output is None and len(names) != 1:
        raise BundleError(f"{path}: gives {', '.join(names)}", fix="name one under 'output' in the sidecar")
    if sidecar.output not in {None, *names}:
        raise BundleError(f"{path}: gives {', '.join(names)}, no '{sidecar.output}'", fix="correct 'output'")
    value = outputs[names.index(sidecar.output) if sidecar.output else 0]
    if value.type not in {"tensor(float)", "tensor(float16)", "tensor(double)"}:
        raise BundleError(f"{path}: '{value.name}' is {value.type}", fix="name another output, or export floats")
    fixed = [size for size in value.shape[1:] if isinstance(size, int)]
    if np.prod(fixed, dtype=np.float64) > MAX_OUTPUT_VALUES:
        raise BundleError(f"{path}: '{value.name}' has {value.shape} values", fix="name the embedding's output")
    return str(value.name)


def as_sequences(path: Path, values: NDArray[Any], port: InputPort, n_windows: int) -> Float32Array:
    """The output as (n_windows, time, dim).

    Raises:
        BundleError: no embedding of so many windows, too large, or not finite.
    """
    batched = values if "batch" in port.axes else values[np.newaxis]
    if batched.ndim not in {2, 3} or len(batched) != n_windows or 0 in batched.shape:
        wanted = f"({n_windows}, dim) or ({n_windows}, time, dim)"
        raise BundleError(f"{path}: gives {values.shape}, not {wanted}", fix="name the embedding's output")
    if batched[0].size > MAX_OUTPUT_VALUES:
        raise BundleError(f"{path}: gives {batched[0].size} values per window", fix="name the embedding's output")
    result = np.asarray(batched if batched.ndim == 3 else batched[:, np.newaxis], np.float32)
    if not np.isfinite(result).all():
        raise BundleError(
            f"{path}: gave something that is not finite", fix="check the sidecar's full_scale and log_mel"
        )
    return result
