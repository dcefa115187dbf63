"""A plain folder of recordings: what its folders are called says which machine it is and whether all was well.

    DIR/*.wav                                    all normal
    DIR/normal/*.wav, DIR/anomaly/*.wav          one machine, with anomalies to test on
    DIR/<machine>/[<attributes>/][normal|anomaly/]*.wav
    DIR/[<machine>/]<train|test>/[normal|anomaly/]*.wav

``anomalous``, ``abnormal`` and ``faulty`` mean the same as ``anomaly``, ``healthy`` the same as ``normal``. Without
``train`` and ``test`` normal clips are for training and the others for the test.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from edged.errors import AudioError
from trainer.data.dcase import audio_files
from trainer.data.machine_clip import Condition, Domain, MachineClip, Split

CONDITIONS: dict[str, Condition] = {
    "normal": "normal",
    "healthy": "normal",
    "anomaly": "anomaly",
    "anomalies": "anomaly",
    "anomalous": "anomaly",
    "abnormal": "anomaly",
    "faulty": "anomaly",
}
SPLITS: dict[str, Split] = {"train": "train", "test": "test"}
_TELLING = {*CONDITIONS, *SPLITS, "source", "target"}

Folders = tuple[str, ...]


def read_folder(root: Path) -> list[MachineClip]:
    """Every recording below `root`, sorted by path.

    Raises:
        AudioError: no directory, no audio in it; a folder whose name is almost one that tells the condition, or clips
            beside such a folder: taking a fault for normal sound would spoil what is learned.
    """
    paths = audio_files(root)
    folders = [path.relative_to(root).parts[:-1] for path in paths]
    _check_names(root, folders)
    _check_siblings(root, paths, folders)
    return [_clip(path, root, names) for path, names in zip(paths, folders, strict=True)]


def _clip(path: Path, root: Path, names: Folders) -> MachineClip:
    words = [name.lower() for name in names]
    others = [name for name in names if name.lower() not in _TELLING] or [root.resolve().name or "machine"]
    split = next((SPLITS[word] for word in words if word in SPLITS), None)
    default: Condition = "unknown" if split == "test" else "normal"
    condition = next((CONDITIONS[word] for word in words if word in CONDITIONS), default)
    domain: Domain = "target" if "target" in words else "source"
    split = split or ("train" if condition == "normal" else "test")
    return MachineClip(path, others[0], "00", domain, split, condition, "_".join(others[1:]))


def _check_names(root: Path, folders: list[Folders]) -> None:
    """``anormal`` would be a machine, and its faults normal."""
    for name in sorted({name for names in folders for name in names}):
        close = difflib.get_close_matches(name.lower(), CONDITIONS, n=1, cutoff=0.8)
        if close and name.lower() not in CONDITIONS:
            raise AudioError(f"{root}: folder '{name}': did you mean '{close[0]}'?", fix="rename it")


def _check_siblings(root: Path, paths: list[Path], folders: list[Folders]) -> None:
    """Where one folder tells the condition, all beside it must."""
    telling = {names[:depth] for names in folders for depth, name in enumerate(names) if name.lower() in CONDITIONS}
    strange = [path for path, names in zip(paths, folders, strict=True) if _leaves(names, telling)]
    if strange:
        listed = ", ".join(str(path.relative_to(root)) for path in strange[:10])
        raise AudioError(
            f"{root}: {len(strange)} clips lie beside a folder that tells the condition, but not in one: {listed}",
            fix="move them into normal/ or anomaly/, or list the clips in a .csv manifest",
        )


def _leaves(names: Folders, telling: set[Folders]) -> bool:
    """Whether the way to a clip passes a folder that tells the condition without taking it."""
    return any(
        names[:depth] in telling and (depth == len(names) or names[depth].lower() not in CONDITIONS)
        for depth in range(len(names) + 1)
    )
