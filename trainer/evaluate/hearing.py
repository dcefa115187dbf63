"""What a bundle makes of recordings: each is listened to once, and those that cannot be used are named together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from edged.embed.bundle import Bundle
from edged.errors import AudioError
from edged.flow import Float32Array
from trainer.data.check_files import SILENT_DBFS
from trainer.data.clips import read_recording, rms
from trainer.data.machine_clip import MachineClip
from trainer.evaluate.anomaly import Vectors, product_vectors

SILENCE_DBFS = -200.0
_MAX_NAMED = 8


@dataclass(frozen=True)
class HeardClip:
    """A recording, what the bundle makes of it, and how loud it is.

    Attributes:
        clip: the recording.
        vectors: representation name -> (n_segments, dim).
        level_dbfs: RMS of the whole clip.
    """

    clip: MachineClip
    vectors: Vectors
    level_dbfs: float

    @property
    def domain(self) -> str:
        """Its acoustic domain; what is not told counts as the source."""
        return self.clip.reference_domain

    @property
    def is_silent(self) -> bool:
        """Nothing to compare with."""
        return self.level_dbfs < SILENT_DBFS


def hear_all(bundle: Bundle, clips: Sequence[MachineClip], *, progress: bool = False) -> dict[Path, HeardClip]:
    """Listen to every clip once.

    Raises:
        AudioError: some cannot be used; the first of them are named.
    """
    vectors_of = product_vectors(bundle)
    bar: Iterable[MachineClip] = track(
        clips, "listening", console=Console(stderr=True), disable=not (progress and sys.stderr.isatty())
    )
    heard: dict[Path, HeardClip] = {}
    bad: list[str] = []
    for clip in bar:
        try:
            heard[clip.path] = _hear(clip, vectors_of)
        except AudioError as error:  # all of them are named at once
            bad.append(error.message)
    if bad:
        more = f"; and {len(bad) - _MAX_NAMED} more" if len(bad) > _MAX_NAMED else ""
        fix = "`edged-train check DATA` tells more; mend them or take them away"
        listed = f"{'; '.join(bad[:_MAX_NAMED])}{more}"
        raise AudioError(f"{len(bad)} of {len(clips)} recordings cannot be used: {listed}", fix=fix)
    return heard


def _hear(clip: MachineClip, vectors_of: Callable[[Float32Array], Vectors]) -> HeardClip:
    samples = read_recording(clip.path)
    vectors = vectors_of(samples)
    if not all(np.isfinite(values).all() for values in vectors.values()):
        raise AudioError(f"{clip.path}: its vectors are not finite", fix="leave it out, or verify the bundle")
    level = rms(samples)
    return HeardClip(clip, vectors, 20.0 * float(np.log10(level)) if level > 0.0 else SILENCE_DBFS)
