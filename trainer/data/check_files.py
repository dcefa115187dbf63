"""One recording looked at on its own: can it be read, is it sound, and how loud; in one pass, block by block."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edged.flow import Float32Array, Float64Array
from trainer.data.audio_file import MAX_ABS_SAMPLE, channel_blocks, open_audio
from trainer.data.check_report import Finding, Severity, counted

CLIPPED_AT = 0.999
CLIPPED_SHARE = 1e-3
SILENT_DBFS = -80.0
QUIET_DBFS = -65.0
OFFSET = 0.02
SHORT_S = 1.0

ENVELOPE_WINDOWS = 64
_WINDOWS_PER_SECOND = 10


@dataclass(frozen=True)
class FileFacts:
    """What one pass over the first channel tells; full scale is 1.

    Attributes:
        digest: of rate and samples; the same samples in another container have the same. Empty in a quick pass.
        peak: largest magnitude.
        rms: of the samples without their mean.
        offset: mean.
        clipped: share of samples at full scale.
        not_numbers: samples that are NaN, infinite or absurdly large.
        envelope: float32 (<= 64,), level of the first windows of 0.1 s in dB, mean 0. Empty in a quick pass.
    """

    path: Path
    rate_hz: int
    channels: int
    n_frames: int
    digest: str
    peak: float
    rms: float
    offset: float
    clipped: float
    not_numbers: int
    envelope: Float32Array

    @property
    def duration_s(self) -> float:
        """Length."""
        return self.n_frames / self.rate_hz

    @property
    def level_dbfs(self) -> float:
        """RMS in dB below full scale; -200 for digital silence."""
        return float(20.0 * np.log10(max(self.rms, 1e-10)))

    @property
    def is_silent(self) -> bool:
        """Nothing to learn from."""
        return self.level_dbfs < SILENT_DBFS

    @property
    def is_usable(self) -> bool:
        """Whether training can take it."""
        return not self.is_silent and self.not_numbers == 0


def file_facts(path: Path, *, quick: bool = False) -> FileFacts:
    """Read a file once.

    Args:
        path: the recording.
        quick: without digest and envelope, which only comparisons need.

    Raises:
        AudioError: unreadable, empty, truncated, damaged, or longer than an hour.
    """
    sums = _Sums()
    with open_audio(path) as file:
        rate_hz, channels = file.samplerate, file.channels
        window = max(1, rate_hz // _WINDOWS_PER_SECOND)
        digest = hashlib.blake2b(str(rate_hz).encode(), digest_size=16)
        powers: list[Float64Array] = []
        for block in channel_blocks(file, whole_frames=window):
            sound = sums.add(block)
            if not quick:
                digest.update(sound.data)
                powers += _window_powers(sound, window, ENVELOPE_WINDOWS - sum(map(len, powers)))
    return sums.facts(path, rate_hz, channels, "" if quick else digest.hexdigest(), _envelope(powers))


@dataclass
class _Sums:
    """What is added up over the blocks of a file."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    peak: float = 0.0
    n_clipped: int = 0
    n_bad: int = 0

    def add(self, block: Float32Array) -> Float32Array:
        """The block with zeros for samples that are not numbers."""
        magnitudes = np.abs(block)
        bad = ~(magnitudes <= MAX_ABS_SAMPLE)
        if bad.any():
            block = np.where(bad, np.float32(0), block)
            magnitudes = np.abs(block)
            self.n_bad += int(bad.sum())
        self.n += len(block)
        self.total += float(block.sum(dtype=np.float64))
        self.squares += float(np.dot(block.astype(np.float64), block))
        self.peak = max(self.peak, float(magnitudes.max()))
        self.n_clipped += int(np.count_nonzero(magnitudes >= CLIPPED_AT))
        return block

    def facts(self, path: Path, rate_hz: int, channels: int, digest: str, envelope: Float32Array) -> FileFacts:
        mean = self.total / self.n
        rms = float(np.sqrt(max(0.0, self.squares / self.n - mean * mean)))
        clipped = self.n_clipped / self.n
        return FileFacts(path, rate_hz, channels, self.n, digest, self.peak, rms, mean, clipped, self.n_bad, envelope)


def _window_powers(block: Float32Array, window: int, n_wanted: int) -> list[Float64Array]:
    """Mean square of the block's whole windows, as far as wanted."""
    n = min(n_wanted, len(block) // window)
    if n <= 0:
        return []
    squares = np.square(block[: n * window].reshape(n, window), dtype=np.float64)
    return [np.asarray(squares.mean(axis=1), np.float64)]


def _envelope(powers: list[Float64Array]) -> Float32Array:
    if not powers:
        return np.zeros(0, np.float32)
    levels = 10.0 * np.log10(np.maximum(np.concatenate(powers), 1e-20))
    return np.asarray(levels - levels.mean(), np.float32)


@dataclass
class FileFindings:
    """Findings about single files, gathered while they are read.

    Attributes:
        found: code -> path -> what is to be said of it.
    """

    found: dict[str, dict[Path, str]] = field(default_factory=dict)

    def add(self, code: str, path: Path, detail: str) -> None:
        """One file that has this trouble."""
        self.found.setdefault(code, {})[path] = detail

    def judge(self, facts: FileFacts) -> None:
        """Everything that a file's own sound gives reason for."""
        for code, detail in _troubles(facts):
            self.add(code, facts.path, detail)

    def findings(self) -> list[Finding]:
        """One finding per trouble."""
        return [_finding(code, files) for code, files in self.found.items()]


def _troubles(facts: FileFacts) -> Iterator[tuple[str, str]]:
    if facts.not_numbers:
        yield "not-numbers", f"{facts.not_numbers} samples"
    if facts.is_silent:
        yield "silent", f"{facts.level_dbfs:.0f} dBFS"
    elif facts.level_dbfs < QUIET_DBFS:
        yield "quiet", f"{facts.level_dbfs:.0f} dBFS"
    if facts.clipped > CLIPPED_SHARE:
        yield "clipped", f"{100 * facts.clipped:.1f} %"
    if abs(facts.offset) > OFFSET:
        yield "offset", f"{facts.offset:+.3f}"
    if facts.duration_s < SHORT_S:
        yield "short", f"{facts.duration_s:.2f} s"


_KINDS: Mapping[str, tuple[Severity, str, str]] = {
    "unreadable": ("error", "cannot be read", "record, copy or convert again, or leave out"),
    "not-numbers": ("error", "with samples that are not numbers", "convert again from the original"),
    "silent": ("error", "without sound", "leave out; look whether the microphone was connected"),
    "quiet": ("note", f"below {QUIET_DBFS:.0f} dBFS", "record with more gain: 16 bits leave little of them"),
    "clipped": (
        "warning",
        f"with over {100 * CLIPPED_SHARE:g} % of the samples at full scale",
        "record with less gain",
    ),
    "offset": ("note", f"with a mean beyond {OFFSET:g} of full scale", "look at the microphone's supply or sound card"),
    "short": ("warning", f"shorter than {SHORT_S:g} s", "record some seconds at least; they are repeated to length"),
}


def _finding(code: str, files: Mapping[Path, str]) -> Finding:
    severity, message, fix = _KINDS[code]
    text = f"{counted(len(files), 'file', 'files')} {message}"
    return Finding(severity, code, text, fix, tuple(files), tuple(files.values()))
