"""The keyword front end: log-mel frames relative to a running level, cut into segments with their context.

    samples -> groups of 4 spectra -> level (looks 2 frames ahead) -> frames -> segments of 4 frames + context

Frame ``k`` accounts for samples ``k * hop .. (k + 1) * hop`` after the last reset; its window is centred on them. A
segment holds the frames around its own that the network needs, so that its output equals that of one pass over the
whole stream; a network that repeats its last frame in place of later ones (`trainer/streaming_form.py`) gives rows that
depend a little on their place in the segment. Beyond both ends of the signal the context is silence, as in training.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from edged.features.level import LevelFollower
from edged.features.logmel import log_mel_db
from edged.features.mel import mel_weights
from edged.features.spec import FeatureSpec
from edged.flow import SAMPLE_RATE_HZ, Block, Float32Array, Float64Array, Segment

FRAMES = "frames"
"""Name of the model's input."""

SCALE_DB = 20.0
CENTRE_DB = -30.0
CEILING_DB = 10.0
LOUDEST = 1e3
"""Of full scale; what is beyond is taken for it."""


class KeywordSpec(FeatureSpec):
    """Parameters of the keyword front end."""

    kind: Literal["keyword-logmel"] = "keyword-logmel"
    n_mels: int = Field(default=64, gt=0, le=512, description="mel bands up to 8 kHz")
    n_fft: int = Field(default=1024, gt=0, le=16_384, description="samples of a window (Hann)")
    hop_samples: int = Field(default=256, ge=16, le=16_384, description="samples from frame to frame")
    high_pass_hz: float = Field(default=50.0, ge=0, description="bands begin here")
    range_db: float = Field(default=60.0, gt=0, description="what is this far below the level counts as silence")
    level_smooth_frames: int = Field(default=4, gt=0, description="frames over which power is averaged for the level")
    level_ahead_frames: int = Field(default=2, ge=0, description="frames the level looks ahead")
    level_decay_db_per_s: float = Field(default=8.0, gt=0, description="how fast the level forgets loud sound")
    level_floor_db: float = Field(default=-80.0, description="lowest level, dB of full scale")
    segment_frames: int = Field(default=4, gt=0, le=1000, description="frames a segment accounts for")
    context_left_frames: int = Field(default=22, ge=0, le=1000, description="frames before them that the network sees")
    context_right_frames: int = Field(default=10, ge=0, le=1000, description="frames after them that the network sees")

    @property
    def input_frames(self) -> int:
        """Frames of a segment's array, context included."""
        return self.context_left_frames + self.segment_frames + self.context_right_frames

    @property
    def silence(self) -> float:
        """The value of a silent band."""
        return (-self.range_db - CENTRE_DB) / SCALE_DB


class KeywordFrames:
    """Normalised log-mel frames of an unbroken signal, bit-identical for any cutting of it.

    >>> frames = KeywordFrames(KeywordSpec())
    >>> len(frames.push(np.zeros(10_000, dtype=np.float32))) + len(frames.flush())
    40
    """

    def __init__(self, spec: KeywordSpec) -> None:
        self._spec = spec
        self._weights = mel_weights(spec.n_mels, spec.n_fft, SAMPLE_RATE_HZ, spec.high_pass_hz, SAMPLE_RATE_HZ / 2)
        decay_db = spec.level_decay_db_per_s * spec.hop_samples / SAMPLE_RATE_HZ
        self._follower = LevelFollower(spec.level_smooth_frames, decay_db, spec.level_floor_db)
        lead = (spec.n_fft - spec.hop_samples) // 2
        self._signal = np.zeros(lead, dtype=np.float32)  # what no group has consumed yet
        self._waiting = np.zeros((0, spec.n_mels), dtype=np.float32)  # frames whose level is not known yet
        self._n_samples = 0
        self._n_frames = 0
        self._level_db = spec.level_floor_db

    def push(self, samples: Float32Array) -> Float32Array:
        """Take samples; return the frames that are complete now, float32 (n, n_mels).

        What is not a number is taken for silence, and what is beyond any microphone for the loudest there is: neither
        may stay in the level.
        """
        self._n_samples += len(samples)
        self._signal = np.concatenate([self._signal, _usable(samples)])
        spec = self._spec
        done = []
        while len(self._signal) >= (spec.segment_frames - 1) * spec.hop_samples + spec.n_fft:
            done.append(self._group(spec.segment_frames))
        return self._stack(done)

    def flush(self) -> Float32Array:
        """End of the signal: return the remaining frames."""
        spec = self._spec
        n_missing = -(-self._n_samples // spec.hop_samples) - self._n_frames
        group_samples = (spec.segment_frames - 1) * spec.hop_samples + spec.n_fft
        done = []
        while n_missing > 0:
            self._signal = np.pad(self._signal, (0, max(0, group_samples - len(self._signal))))
            done.append(self._group(min(n_missing, spec.segment_frames)))
            n_missing -= spec.segment_frames
        done.append(self._normalised(self._waiting, np.full(len(self._waiting), self._level_db)))
        self._waiting = self._waiting[:0]
        return self._stack(done)

    def _group(self, n_valid: int) -> Float32Array:
        """One group of spectra; the frames that this gives a level, (n, n_mels)."""
        spec = self._spec
        frames_db = log_mel_db(self._signal, spec.segment_frames, self._weights, spec.n_fft, spec.hop_samples)[:n_valid]
        self._signal = self._signal[spec.segment_frames * spec.hop_samples :]
        self._n_frames += n_valid
        levels_db = self._follower.push(frames_db)
        self._level_db = float(levels_db[-1])
        waiting = np.concatenate([self._waiting, frames_db])
        n_done = max(0, len(waiting) - spec.level_ahead_frames)
        self._waiting = waiting[n_done:]
        return self._normalised(waiting[:n_done], levels_db[n_valid - n_done :])

    def _normalised(self, frames_db: Float32Array, levels_db: Float64Array) -> Float32Array:
        """Frames (n, n_mels) relative to their levels (n,)."""
        relative_db = np.clip(frames_db - levels_db.astype(np.float32)[:, None], -self._spec.range_db, CEILING_DB)
        return np.asarray((relative_db - CENTRE_DB) / SCALE_DB, dtype=np.float32)

    def _stack(self, groups: list[Float32Array]) -> Float32Array:
        return np.concatenate(groups) if groups else np.zeros((0, self._spec.n_mels), dtype=np.float32)


def _usable(samples: Float32Array) -> Float32Array:
    usable = np.clip(samples, -LOUDEST, LOUDEST)
    usable[np.isnan(usable)] = 0.0
    return usable


class KeywordFeatures:
    """Featuriser of keyword monitors (the protocol of the pipeline: ``push``, ``flush``)."""

    def __init__(self, spec: KeywordSpec) -> None:
        self._spec = spec
        self._reset(0, 0)

    def _reset(self, sample: int, epoch: int) -> None:
        spec = self._spec
        self._frames = KeywordFrames(spec)
        self._start = self._next_sample = sample
        self._epoch = epoch
        self._n_segments = 0
        self._window = np.full((spec.context_left_frames, spec.n_mels), spec.silence, dtype=np.float32)

    def push(self, block: Block) -> list[Segment]:
        """Segments that are complete with this block; a gap or a new epoch ends the old signal and begins another."""
        ended: list[Segment] = []
        if block.lost_before or block.epoch != self._epoch or block.sample != self._next_sample:
            ended = self.flush()
            self._reset(block.sample, block.epoch)
        self._next_sample = block.end
        return ended + self._cut(self._frames.push(block.samples))

    def flush(self) -> list[Segment]:
        """Segments of the signal's end; the last may account for less than its number of frames."""
        spec = self._spec
        segments = self._cut(self._frames.flush())
        n_left = -(-(self._next_sample - self._start) // spec.hop_samples) - self._n_segments * spec.segment_frames
        if n_left > 0:
            n_segments = -(-n_left // spec.segment_frames)
            n_pad = n_segments * spec.segment_frames - n_left + spec.context_right_frames
            segments += self._cut(np.full((n_pad, spec.n_mels), spec.silence, dtype=np.float32))
        self._reset(self._next_sample, self._epoch)
        return segments

    def _cut(self, frames: Float32Array) -> list[Segment]:
        spec = self._spec
        self._window = np.concatenate([self._window, frames])
        segments = []
        while len(self._window) >= spec.input_frames:
            start = self._start + self._n_segments * spec.segment_frames * spec.hop_samples
            end = min(start + spec.segment_frames * spec.hop_samples, self._next_sample)
            segments.append(Segment(start, end, {FRAMES: self._window[: spec.input_frames].copy()}, self._epoch))
            self._window = self._window[spec.segment_frames :]
            self._n_segments += 1
        return segments
