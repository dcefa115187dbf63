"""The front end of anomaly monitors: overlapping 10 s segments with everything a bundle embeds or scores.

    block -> samples kept --------------------------> DFT magnitude  "spectrum"    (80000,)
          -> STFT frames, each computed once, kept -> minus mean     "spectrogram" (311, 513)
                                                   -> log-mel        "log_mel"     (311, n_mels)
                                                   -> over time      one vector per entry of `statistics`

The hop is a whole number of frames, so overlapping segments share their frames. All that is computed per segment has a
fixed shape and starts on an absolute grid: any cutting of the signal into blocks gives the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from edged.features.growing import Growing
from edged.features.health import input_facts
from edged.features.mel import mel_weights
from edged.features.spec import FeatureSpec
from edged.features.spectrogram import StreamingSpectrogram, frame_count, hann, magnitude_frames, temporal_mean_removed
from edged.features.spectrum import first_bin, segment_spectrum
from edged.features.statistics import Statistic, log_mel, statistics_vector
from edged.flow import SAMPLE_RATE_HZ, Block, Float32Array, Segment

NetworkInput = Literal["spectrogram", "spectrum", "log_mel"]

DEFAULT_STATISTICS: dict[str, tuple[Statistic, ...]] = {"statistics": ("mean", "std", "p5")}


class AnomalySpec(FeatureSpec):
    """Every parameter of the front end.

    Attributes:
        segment_samples: length of what is judged at once.
        hop_samples: from one segment to the next; whole frames.
        n_fft: STFT frame; `frame_hop_samples` from one to the next.
        cutoff_hz: high-pass of the network's inputs, by zeroing the bins below it.
        mel_fmin_hz: lower end of the mel bands; also where the segment's level begins to count. Bands below
            `cutoff_hz` stay in the statistics: hum and rumble tell machines' states apart.
        floor_db: added to log-mel bands, relative to the segment's mean power per bin.
        normalise_level: divide every segment by its own level, so that microphone gain and distance do not matter.
        level_floor: smallest level divided by; keeps digital silence finite.
        inputs: arrays computed for the network.
        statistics: name of a scored vector -> the statistics over time it consists of.
    """

    kind: Literal["anomaly"] = "anomaly"
    sample_rate_hz: Literal[16000] = 16000
    segment_samples: int = Field(default=160_000, ge=16_000, le=960_000, multiple_of=2)
    hop_samples: int = Field(default=40_960, ge=512)
    n_fft: int = Field(default=1024, ge=64, le=16_384, multiple_of=2)
    frame_hop_samples: int = Field(default=512, ge=16)
    cutoff_hz: float = Field(default=200.0, ge=0.0, lt=8000.0)
    n_mels: int = Field(default=128, ge=8, le=512)
    mel_fmin_hz: float = Field(default=50.0, ge=0.0, lt=8000.0)
    mel_fmax_hz: float = Field(default=8000.0, gt=0.0, le=8000.0)
    floor_db: float = Field(default=-50.0, ge=-140.0, le=0.0)
    normalise_level: bool = True
    level_floor: float = Field(default=1e-5, gt=0.0)
    inputs: tuple[NetworkInput, ...] = ("spectrogram", "spectrum")
    statistics: dict[str, tuple[Statistic, ...]] = Field(default=DEFAULT_STATISTICS)

    @model_validator(mode="after")
    def _grid(self) -> AnomalySpec:
        if self.hop_samples % self.frame_hop_samples or self.hop_samples > self.segment_samples:
            raise ValueError("hop_samples must be whole frames and no longer than a segment")
        if self.mel_fmin_hz >= self.mel_fmax_hz:
            raise ValueError("mel_fmin_hz must lie below mel_fmax_hz")
        if set(self.inputs) & set(self.statistics):
            raise ValueError("a statistics vector may not be named like a network input")
        return self

    @property
    def n_frames(self) -> int:
        """STFT frames of one segment."""
        return frame_count(self.segment_samples, self.n_fft, self.frame_hop_samples)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one array of a segment, by its name.

        >>> AnomalySpec().shape("spectrogram"), AnomalySpec().shape("spectrum"), AnomalySpec().shape("statistics")
        ((311, 513), (80000,), (384,))
        """
        if name in self.statistics:
            return (len(self.statistics[name]) * self.n_mels,)
        inputs: dict[str, tuple[int, ...]] = {
            "spectrogram": (self.n_frames, self.n_fft // 2 + 1),
            "spectrum": (self.segment_samples // 2,),
            "log_mel": (self.n_frames, self.n_mels),
        }
        return inputs[name]


class AnomalyFeatures:
    """Streaming featuriser (see the `Featuriser` contract in DESIGN: pure, exact for any chunking).

    A gap or a new epoch ends the signal there: its unscored tail is handed out like at `flush` when it follows a whole
    segment, and given up when it is shorter (no segment spans a gap, and a fragment is no judgement of a machine).
    `covered_until` tells which samples the segments so far account for.
    """

    def __init__(self, spec: AnomalySpec) -> None:
        self.spec = spec
        self.reset()

    def reset(self, sample: int = 0, epoch: int = 0) -> None:
        """Forget everything; the next sample is `sample`."""
        self._epoch = epoch
        self._end = sample
        self._next_start = sample
        self._buffer_start = sample
        self._buffer = Growing(np.empty(0, np.float32))
        self._stft = StreamingSpectrogram(self.spec.n_fft, self.spec.frame_hop_samples)
        self._frames = Growing(np.empty((0, self.spec.n_fft // 2 + 1), np.float32))
        self._has_segment = False
        self.covered_until = sample

    def push(self, block: Block) -> list[Segment]:
        """The segments that this block completes."""
        segments: list[Segment] = []
        if block.lost_before or block.epoch != self._epoch or block.sample != self._end:
            segments = self.flush() if self._has_segment else []
            self.reset(block.sample, block.epoch)
        self._buffer.append(block.samples.astype(np.float32, copy=False))
        self._frames.append(self._stft.push(block.samples))
        self._end = block.end
        while self._end - self._next_start >= self.spec.segment_samples:
            segments.append(self._take_segment())
        return segments

    def flush(self) -> list[Segment]:
        """End of signal: one more segment that ends with it, if samples are left that no segment accounts for.

        A signal shorter than a segment is repeated to length.
        """
        samples = self._buffer.joined()
        tail: list[Segment] = []
        if self._end > self.covered_until and len(samples):
            samples = samples[-self.spec.segment_samples :]
            features = segment_features(samples, self.spec)
            tail = [Segment(self._end - len(samples), self._end, features, self._epoch, input_facts(samples), samples)]
        self.reset(self._end, self._epoch)
        return tail

    def _take_segment(self) -> Segment:
        spec, start = self.spec, self._next_start
        offset = start - self._buffer_start
        samples = self._buffer.joined()[offset : offset + spec.segment_samples]
        frames = self._frames.joined()[: spec.n_frames]
        features, facts = _features(samples, frames, spec), input_facts(samples)
        segment = Segment(start, start + spec.segment_samples, features, self._epoch, facts, samples)
        self.covered_until = segment.sample_end
        self._has_segment = True
        self._next_start += spec.hop_samples
        self._frames.drop(spec.hop_samples // spec.frame_hop_samples)
        # Keep one hop more than the next segment needs: `flush` looks back a whole segment from the end.
        keep_from = max(self._buffer_start, self._next_start - spec.hop_samples)
        self._buffer.drop(keep_from - self._buffer_start)
        self._buffer_start = keep_from
        return segment


def segment_features(samples: Float32Array, spec: AnomalySpec) -> dict[str, Float32Array]:
    """All arrays of one segment; shorter signals are repeated to length.

    Args:
        samples: float32 (n_samples,), 1 <= n_samples <= spec.segment_samples.
    """
    whole = repeat_to_length(samples, spec.segment_samples)
    return _features(whole, magnitude_frames(whole, spec.n_fft, spec.frame_hop_samples), spec)


def clip_segments(samples: Float32Array, spec: AnomalySpec) -> list[Segment]:
    """A whole clip as the stream would cut it: every segment, the last one ending with the clip."""
    featuriser = AnomalyFeatures(spec)
    return featuriser.push(Block(0, samples)) + featuriser.flush()


def repeat_to_length(samples: Float32Array, n_samples: int) -> Float32Array:
    """The signal again and again until it is long enough.

    >>> repeat_to_length(np.array([1, 2], np.float32), 5).tolist()
    [1.0, 2.0, 1.0, 2.0, 1.0]
    """
    return np.resize(samples, n_samples) if len(samples) < n_samples else samples[:n_samples]


def _features(samples: Float32Array, frames: Float32Array, spec: AnomalySpec) -> dict[str, Float32Array]:
    """Arrays of one segment from its samples (segment_samples,) and magnitude frames (n_frames, n_bins)."""
    return features_of(frames, segment_spectrum(samples) if "spectrum" in spec.inputs else None, spec)


def features_of(frames: Float32Array, spectrum: Float32Array | None, spec: AnomalySpec) -> dict[str, Float32Array]:
    """All arrays of one segment from what its samples were transformed to.

    Args:
        frames: float32 (n_frames, n_bins), STFT magnitudes.
        spectrum: float32 (segment_samples // 2,) of `segment_spectrum`; needed when the spec names it as an input.
    """
    window_norm = np.float32(np.linalg.norm(hann(spec.n_fft)))
    level = _level(frames, spec) / window_norm
    relative = frames / (level * window_norm)
    features: dict[str, Float32Array] = {}
    if "spectrogram" in spec.inputs:
        features["spectrogram"] = temporal_mean_removed(_high_passed(relative, spec.cutoff_hz, spec.n_fft))
    if spectrum is not None and "spectrum" in spec.inputs:
        features["spectrum"] = _high_passed(spectrum / level, spec.cutoff_hz, spec.segment_samples)
    if spec.statistics or "log_mel" in spec.inputs:
        features |= _band_features(_bands_db(relative, spec), spec)
    return features


def bands_of(frames: Float32Array, spec: AnomalySpec) -> Float32Array:
    """Log-mel spectrogram of STFT magnitudes relative to their level: (n_frames, n_bins) -> (n_frames, n_mels), dB."""
    return _bands_db(frames / _level(frames, spec), spec)


def _bands_db(relative: Float32Array, spec: AnomalySpec) -> Float32Array:
    weights = mel_weights(spec.n_mels, spec.n_fft, SAMPLE_RATE_HZ, spec.mel_fmin_hz, spec.mel_fmax_hz)
    return log_mel(np.square(relative), weights, spec.floor_db)


def _band_features(bands_db: Float32Array, spec: AnomalySpec) -> Mapping[str, Float32Array]:
    vectors = {names: statistics_vector(bands_db, names) for names in set(spec.statistics.values())}
    features = {name: vectors[names] for name, names in spec.statistics.items()}
    return features | ({"log_mel": bands_db} if "log_mel" in spec.inputs else {})


def _level(frames: Float32Array, spec: AnomalySpec) -> np.float32:
    """Root of the mean power per bin above `mel_fmin_hz`, in units of |STFT|; white noise comes out at 1 per bin."""
    window_norm = float(np.linalg.norm(hann(spec.n_fft)))
    if not spec.normalise_level:
        return np.float32(window_norm)
    low = first_bin(spec.mel_fmin_hz, spec.n_fft, SAMPLE_RATE_HZ)
    power = np.square(frames[:, low:], dtype=np.float64).mean()
    return np.float32(max(np.sqrt(power), spec.level_floor * window_norm))


def _high_passed(bins: Float32Array, cutoff_hz: float, n_fft: int) -> Float32Array:
    """Zero the bins below the cut-off along the last axis."""
    result = bins.copy()
    result[..., : first_bin(cutoff_hz, n_fft, SAMPLE_RATE_HZ)] = 0.0
    return result
