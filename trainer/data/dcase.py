"""Trees of DCASE Task 2 (2020 to 2025), MIMII and ToyADMOS, read by their file names and the tables beside them.

`trainer/data/layouts.py` says what names mean. Attributes come from the file name or `<machine>/attributes_<NN>.csv`,
labels of evaluation clips from `eval_data_list*.csv` (the organisers' list) where one lies in the tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edged.errors import AudioError
from trainer.data.dcase_tables import read_tables
from trainer.data.file_tree import files_below
from trainer.data.layouts import clip_of
from trainer.data.machine_clip import SUFFIXES, Condition, Domain, MachineClip, Split

__all__ = [
    "SUFFIXES",
    "Condition",
    "Domain",
    "MachineClip",
    "Split",
    "audio_files",
    "class_names",
    "fits_layout",
    "read_machine_tree",
]


def read_machine_tree(root: Path) -> list[MachineClip]:
    """Every recording below `root`, sorted by path.

    Raises:
        AudioError: no directory, no audio in it, or a name that fits no layout (the first ten are listed).
    """
    paths = audio_files(root)
    clips = [_clip(path, root) for path in paths]
    strange = [path for path, clip in zip(paths, clips, strict=True) if clip is None]
    if strange:
        listed = ", ".join(str(path.relative_to(root)) for path in strange[:10])
        raise AudioError(
            f"{root}: {len(strange)} names fit no DCASE, MIMII or ToyADMOS layout: {listed}",
            fix="move them away, or list the clips in a .csv manifest",
        )
    tables = read_tables(root)
    return [tables.told(clip) for clip in clips if clip is not None]


def audio_files(root: Path) -> list[Path]:
    """The recordings below a folder, sorted; see `files_below`.

    Raises:
        AudioError: no directory, or no audio in it; a folder in it that cannot be listed.
    """
    if not root.is_dir():
        raise AudioError(f"{root}: no such directory", fix="name the folder that holds one folder per machine type")
    paths = [path for path in files_below(root) if path.suffix.lower() in SUFFIXES]
    if not paths:
        raise AudioError(f"{root}: holds no {', '.join(SUFFIXES)} files", fix="unpack the data set there")
    return paths


def fits_layout(root: Path) -> bool:
    """Whether any recording below `root` is named as in one of the known data sets."""
    return any(_clip(path, root) is not None for path in audio_files(root))


def class_names(clips: Iterable[MachineClip]) -> list[str]:
    """The classes of the normal training clips, sorted."""
    return sorted({clip.label for clip in clips if clip.for_training})


def _clip(path: Path, root: Path) -> MachineClip | None:
    return clip_of(path, (root.resolve().name, *path.relative_to(root).parts[:-1]))
