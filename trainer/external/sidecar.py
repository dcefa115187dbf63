"""The file beside an ONNX encoder that says what the network itself does not: rates, windows, log-mel.

    encoder.onnx
    encoder.yaml     sample_rate_hz: 32000
                     window_s: 0.96
                     log_mel: {n_mels: 64, n_fft: 1024, hop_samples: 320, log_base: db, floor: 1.0e-10}

Without it the encoder is taken to want a waveform at 16 kHz in windows of 960 ms.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edged.errors import ConfigError

MAX_BYTES = 1 << 16
WINDOW_S = 0.96
"""Sliding window of encoders that have none of their own (thesis 5.5.2)."""

Axis = Literal["batch", "channel", "samples", "time", "mel"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LogMelInput(_Strict):
    """Log-mel frames as the encoder was trained on: ``(log(weights @ |STFT|^power + floor) - mean) / std``.

    Attributes:
        hop_samples: from frame to frame.
        fmin_hz: lower end of the bands; `fmax_hz` is the upper one, half the sample rate if not given.
        mel_scale: ``htk``, or ``slaney`` (linear below 1 kHz, librosa's default).
        mel_norm: ``slaney`` divides each band by its width; ``none`` keeps the triangles' peak at one.
        magnitude_power: 2 for power, 1 for magnitude.
        log_base: ``e``, ``10``, or ``db`` for ten times the latter.
        floor: added before the logarithm.
        centre: frames centred on multiples of the hop, with the signal mirrored at both ends of a window.
    """

    n_mels: int = Field(default=64, ge=1, le=1024)
    n_fft: int = Field(default=1024, ge=16, le=65_536)
    hop_samples: int = Field(default=160, ge=1, le=65_536)
    fmin_hz: float = Field(default=0.0, ge=0.0)
    fmax_hz: float | None = Field(default=None, gt=0.0)
    mel_scale: Literal["htk", "slaney"] = "htk"
    mel_norm: Literal["none", "slaney"] = "none"
    magnitude_power: Literal[1, 2] = 2
    log_base: Literal["e", "10", "db"] = "e"
    floor: float = Field(default=1e-6, gt=0.0)
    mean: float = 0.0
    std: float = Field(default=1.0, gt=0.0)
    centre: bool = False


class EncoderSidecar(_Strict):
    """What an encoder wants.

    Attributes:
        sample_rate_hz: clips at 16 kHz are resampled to it.
        window_s: length of what is encoded at once; None takes the length the network fixes, else 960 ms.
        hop_s: from window to window; None for one after another.
        whole_clip: encode every clip at once (Table 22's "native"); the network must leave its length open.
        full_scale: value of a full-scale sample; None for 1, or the largest value of an integer input.
        layout: axes of the input, when their usual order does not hold.
        output: name of the output, when there are several.
        log_mel: the front end; None for waveforms.
    """

    sample_rate_hz: int = Field(default=16_000, ge=4_000, le=192_000)
    window_s: float | None = Field(default=None, ge=0.01, le=120.0)
    hop_s: float | None = Field(default=None, ge=0.01, le=120.0)
    whole_clip: bool = False
    full_scale: float | None = Field(default=None, gt=0.0)
    layout: tuple[Axis, ...] | None = None
    output: str | None = Field(default=None, min_length=1, max_length=256)
    log_mel: LogMelInput | None = None

    @model_validator(mode="after")
    def _fits(self) -> EncoderSidecar:
        if self.whole_clip and (self.window_s or self.hop_s):
            raise ValueError("whole_clip excludes window_s and hop_s")
        if self.log_mel and self.log_mel.fmin_hz >= (self.log_mel.fmax_hz or self.sample_rate_hz / 2):
            raise ValueError("log_mel.fmin_hz must lie below fmax_hz and half the sample rate")
        if self.log_mel and (self.log_mel.fmax_hz or 0.0) > self.sample_rate_hz / 2:
            raise ValueError("log_mel.fmax_hz lies above half the sample rate")
        if self.layout and not _is_layout(self.layout, ("time", "mel") if self.log_mel else ("samples",)):
            raise ValueError("layout must name each axis once: time and mel for log-mel, else samples")
        return self


def read_sidecar(path: Path) -> EncoderSidecar:
    """The sidecar; the defaults if there is none.

    Raises:
        ConfigError: unreadable, larger than 64 KiB, unknown keys or values out of bounds.
    """
    if not path.exists():
        return EncoderSidecar()
    try:
        return EncoderSidecar.model_validate(_fields(path))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise ConfigError(f"{path}: {problems}", fix="correct the named keys") from error


def _fields(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES >> 10} KiB", fix="describe the encoder in a few lines")
        fields = yaml.safe_load(data)
    except (OSError, UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}", fix="write one 'name: value' per line") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{path}: holds no fields", fix="write one 'name: value' per line")
    return fields


def _is_layout(layout: tuple[Axis, ...], content: tuple[Axis, ...]) -> bool:
    return len(set(layout)) == len(layout) and set(layout) - {"batch", "channel"} == set(content)
