"""The one entry for recordings of machines: a manifest, a data set in a known layout, or a plain folder."""

from __future__ import annotations

from pathlib import Path

from edged.errors import AudioError
from trainer.data.dcase import fits_layout, read_machine_tree
from trainer.data.folder import read_folder
from trainer.data.machine_clip import MachineClip
from trainer.data.manifest import read_manifest

_TRIED = "a .csv manifest, a DCASE Task 2, MIMII or ToyADMOS tree, a plain folder of recordings"


def read_machine_data(path: Path) -> list[MachineClip]:
    """The recordings of a manifest (`.csv`), of a tree if any name in it fits a known layout, else of a plain folder.

    Raises:
        AudioError: nothing there, or nothing of these; what was tried is listed.
    """
    if path.suffix.lower() == ".csv" and not path.is_dir():
        return read_manifest(path)
    if not path.is_dir():
        raise AudioError(f"{path}: no such folder or .csv file (tried: {_TRIED})", fix="check the path")
    try:
        return read_machine_tree(path) if fits_layout(path) else read_folder(path)
    except AudioError as error:
        raise AudioError(f"{error.message} (tried: {_TRIED})", fix=error.fix) from error
