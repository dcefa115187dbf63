"""Saved audio of events: where it lies, how it is written, and how much of it is kept.

    <state>/clips/<stream>/<time>-<monitor>-<boot>-<sample>.flac

A clip is written beside its name and renamed, so that a file under that name is always whole. What it holds (stream,
epoch, first sample) stands in the file's own comment: a clip that was copied away still says what it is.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from edged.config import ClipsSettings
from edged.events.journal import JournalReader
from edged.files import write_durably
from edged.flow import SAMPLE_RATE_HZ, Float32Array

CLIPS_DIR_NAME = "clips"
_RELATIVE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,47}/[A-Za-z0-9][A-Za-z0-9_-]{0,127}\.(wav|flac)")
_UNFINISHED = ".part"
_DAY_S = 86_400.0
_MIB = 1 << 20


@dataclass(frozen=True)
class ClipOrigin:
    """Where a clip was heard.

    Attributes:
        sample_start: index of its first sample on the stream's clock.
    """

    stream: str
    monitor: str
    boot: str
    epoch: int
    sample_start: int


def clip_name(stream: str, monitor: str, boot: str, onset_sample: int, *, time: str, suffix: str) -> str:
    """Path of an event's clip, relative to the clips folder; sorts by time.

    Args:
        time: RFC 3339 UTC of the event.
        suffix: ``flac`` or ``wav``.

    >>> clip_name("press-3", "anomaly", "b1", 16000, time="2026-01-31T13:00:00.250Z", suffix="flac")
    'press-3/20260131T130000Z-anomaly-b1-16000.flac'
    """
    moment = re.sub(r"[-:]|\.\d+", "", time)
    return f"{stream}/{moment}-{monitor}-{boot}-{onset_sample}.{suffix}"


def event_clip(state_dir: Path, event_id: str) -> Path | None:
    """The saved audio of a journalled event, or None: none was kept, it is not written yet, or it was removed for age.

    Whatever the journal says, the path lies in the state directory's clips folder and is no link.

    Raises:
        StateError: the journal cannot be read.
    """
    with JournalReader(state_dir) as reader:
        event = reader.find(event_id)
    return clip_path(state_dir, (event or {}).get("clip"))


def clip_path(state_dir: Path, relative: object) -> Path | None:
    """An existing clip by its path relative to the clips folder; None for anything else, links included."""
    if not isinstance(relative, str) or not _RELATIVE.fullmatch(relative):
        return None
    folder = state_dir / CLIPS_DIR_NAME
    path = folder / relative
    is_inside = not (path.is_symlink() or path.parent.is_symlink() or folder.is_symlink())
    return path if is_inside and path.is_file() else None


def clip_origin(path: Path) -> ClipOrigin | None:
    """What a clip's comment says of it, or None where it says nothing (edited, or not one of ours)."""
    try:
        with soundfile.SoundFile(path) as audio:
            facts: Any = json.loads(audio.comment)
        origin = ClipOrigin(**facts)
    except (soundfile.LibsndfileError, ValueError, TypeError):
        return None
    return origin if isinstance(origin.sample_start, int) and origin.sample_start >= 0 else None


class ClipFolder:
    """The clips of one state directory; one instance belongs to one thread.

    Args:
        settings: bounds on age and size, and the format.

    Attributes:
        removed: clips that were removed for age or room.
    """

    def __init__(self, state_dir: Path, settings: ClipsSettings) -> None:
        self._folder = state_dir / CLIPS_DIR_NAME
        self._settings = settings
        self.removed = 0

    def write(self, relative: str, samples: Float32Array, origin: ClipOrigin) -> None:
        """Store a clip as 16-bit samples, after making room for it.

        Args:
            samples: float32 (n_samples,), full scale = +-1.

        Raises:
            OSError: the disk is full or refuses; no half-written clip is left.
        """
        path = self._folder / relative
        data = _encoded(samples, path.suffix.removeprefix("."), origin)
        self.remove_excess(reserve_bytes=len(data))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        if self._is_linked(path):
            raise OSError(errno.ELOOP, f"{path.parent}: a link, and clips are never looked for through links")
        if shutil.disk_usage(path.parent).free < self._settings.keep_free_mib * _MIB + len(data):
            raise OSError(errno.ENOSPC, f"less than {self._settings.keep_free_mib} MiB would stay free")
        write_durably(path, data)

    def remove_excess(self, *, reserve_bytes: int = 0) -> None:
        """Remove what is too old, then the oldest until `reserve_bytes` more would fit; and what a crash left behind.

        Raises:
            OSError: a clip cannot be removed.
        """
        oldest_s = time.time() - self._settings.max_age_days * _DAY_S
        allowed = self._settings.max_total_mib * _MIB - reserve_bytes
        for path, stat in sorted(self._clips(), key=lambda clip: clip[1].st_mtime, reverse=True):
            allowed -= stat.st_size
            if allowed < 0 or stat.st_mtime < oldest_s:
                path.unlink(missing_ok=True)
                self.removed += 1

    def remove_unfinished(self) -> None:
        """Remove what a killed process left behind: once, at the start.

        Raises:
            OSError: something cannot be removed.
        """
        for path in self._folder.glob(f"*/.*{_UNFINISHED}"):
            if not self._is_linked(path):
                path.unlink(missing_ok=True)

    def _is_linked(self, path: Path) -> bool:
        return self._folder.is_symlink() or path.parent.is_symlink()

    def _clips(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self._folder.glob("*/*"):
            if _RELATIVE.fullmatch(path.relative_to(self._folder).as_posix()) and not self._is_linked(path):
                with contextlib.suppress(FileNotFoundError):  # removed by somebody else meanwhile
                    yield path, path.lstat()


def _encoded(samples: Float32Array, suffix: str, origin: ClipOrigin) -> bytes:
    """The file's bytes, made in memory: a full disk then fails in one plain write, not inside the codec."""
    quantised = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", SAMPLE_RATE_HZ, 1, "PCM_16", format=suffix.upper()) as audio:
        audio.comment = json.dumps(asdict(origin))
        audio.write(quantised)
    return buffer.getvalue()
