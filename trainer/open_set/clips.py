"""Recordings by class: a folder per class, or `<class>__<name>` in one folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edged.errors import AudioError
from edged.features.anomaly import repeat_to_length
from edged.flow import Float32Array
from trainer.data.clips import read_clip
from trainer.data.corpus import FULL_SCALE
from trainer.data.dcase import SUFFIXES
from trainer.data.file_tree import files_below

_ESC = re.compile(r"(\d-\d+)-[A-Z]")
"""`<fold>-<recording>-<take>`: takes of one recording sound alike."""


@dataclass(frozen=True)
class SoundClip:
    """One recording.

    Attributes:
        name: its class.
        recording: what it was cut from; a test clip may not come from the recording of a shot.
    """

    path: Path
    name: str
    recording: str


def read_class_tree(root: Path) -> list[SoundClip]:
    """Every recording below `root`, sorted by path.

    Raises:
        AudioError: no directory, no audio, a file without a class, or a single class.
    """
    if not root.is_dir():
        raise AudioError(f"{root}: no such directory", fix="name the folder that holds one folder per class")
    paths = [path for path in files_below(root) if path.suffix.lower() in SUFFIXES]
    clips = [_clip_of(path, root) for path in paths]
    if len({clip.name for clip in clips}) < 2:
        raise AudioError(f"{root}: {len(clips)} recordings of fewer than two classes", fix="give one folder per class")
    return clips


@lru_cache(maxsize=2048)
def read_segment(path: Path, n_samples: int) -> NDArray[np.int16]:
    """The clip's first `n_samples`, repeated to length if it is shorter: int16 (n_samples,), read-only.

    Raises:
        AudioError: unreadable, empty or not finite.
    """
    samples = read_clip(path)
    if not len(samples) or not np.isfinite(samples).all():
        raise AudioError(f"{path}: empty or not finite", fix="remove it or record it again")
    whole = np.clip(repeat_to_length(samples, n_samples), -1.0, 1.0)
    result = np.round(whole * FULL_SCALE).astype(np.int16)
    result.flags.writeable = False
    return result


def read_waveform(path: Path, n_samples: int) -> Float32Array:
    """Likewise, float32 with full scale = +-1."""
    return read_segment(path, n_samples).astype(np.float32) / np.float32(FULL_SCALE)


def _clip_of(path: Path, root: Path) -> SoundClip:
    *folders, _ = below = path.relative_to(root).parts
    prefix, mark, rest = path.stem.partition("__")
    if not folders and not (mark and prefix):
        raise AudioError(f"{path}: belongs to no class", fix="put it into its class's folder, or name it CLASS__NAME")
    name, stem = (folders[0], path.stem) if folders else (prefix, rest)
    match = _ESC.fullmatch(stem)
    own = "/".join((*below[:-1], path.stem)) if folders else f"{name}/{stem}"
    return SoundClip(path, name, match[1] if match else own)
