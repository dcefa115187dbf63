"""Trees in the layouts of DCASE Task 2 (2020 to 2023) and MIMII, read by their file names.

    2020   <machine>/<train|test>/<normal|anomaly>_id_<NN>_<number>.wav
    2021+  <machine>/<split>/section_<NN>_<source|target>_<train|test>_<normal|anomaly>_<number>[_<attributes>].wav
    eval   <machine>/test/section_<NN>_<number>.wav                       (domain and condition not told)
    MIMII  <machine>/id_<NN>/<normal|abnormal>/<number>.wav, also with <machine>_id_<NN> as one folder

Attributes come from the file name and, where present, from `<machine>/attributes_<NN>.csv` (2022, 2023).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edged.errors import AudioError

Domain = Literal["source", "target", "unknown"]
Split = Literal["train", "test"]
Condition = Literal["normal", "anomaly", "unknown"]

SUFFIXES = (".wav", ".flac", ".ogg")

_YEAR_2020 = re.compile(r"(?P<condition>normal|anomaly)_id_(?P<section>\d\d)_\d+")
_YEAR_2021 = re.compile(
    r"section_(?P<section>\d\d)_(?P<domain>source|target)_(?P<split>train|test)_(?P<condition>normal|anomaly)_\d+"
    r"(?:_(?P<attributes>.+))?"
)
_EVALUATION = re.compile(r"section_(?P<section>\d\d)_\d+")
_MIMII_FOLDER = re.compile(r"(?:(?P<machine>.+)_)?id_(?P<section>\d\d)")


@dataclass(frozen=True)
class MachineClip:
    """One recording and what its place in the tree says about it.

    Attributes:
        path: the file.
        machine: machine type, e.g. ``fan``.
        section: two digits.
        domain: ``unknown`` in evaluation sets.
        split: ``train`` or ``test``; MIMII, which has no split, counts as ``train`` when normal.
        condition: ``unknown`` in evaluation sets.
        attributes: operating conditions, empty where none are given.
    """

    path: Path
    machine: str
    section: str
    domain: Domain
    split: Split
    condition: Condition
    attributes: str = ""

    @property
    def label(self) -> str:
        """Class for training: machine type x section x attributes (thesis 5.3.1)."""
        return "/".join(part for part in (self.machine, self.section, self.attributes) if part)


def read_machine_tree(root: Path) -> list[MachineClip]:
    """Every recording below `root`, sorted by path.

    Raises:
        AudioError: no directory, no audio in it, or a name that fits no layout (the first ten are listed).
    """
    if not root.is_dir():
        raise AudioError(f"{root}: no such directory", fix="name the folder that holds one folder per machine type")
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise AudioError(f"{root}: holds no {', '.join(SUFFIXES)} files", fix="unpack the data set there")
    tables = _attribute_tables(root)
    clips = [_clip_of(path, root) for path in paths]
    strange = [path for path, clip in zip(paths, clips, strict=True) if clip is None]
    if strange:
        listed = ", ".join(str(path.relative_to(root)) for path in strange[:10])
        raise AudioError(f"{root}: {len(strange)} names fit no DCASE or MIMII layout: {listed}", fix="move them away")
    return [_with_table(clip, tables) for clip in clips if clip is not None]


def class_names(clips: Iterable[MachineClip]) -> list[str]:
    """The classes of the normal training clips, sorted."""
    return sorted({clip.label for clip in clips if clip.split == "train" and clip.condition == "normal"})


def _clip_of(path: Path, root: Path) -> MachineClip | None:
    """What the name says, or None when it fits no layout."""
    folders = path.relative_to(root).parts[:-1]
    if match := _YEAR_2021.fullmatch(path.stem):
        return _from_match(path, folders, match)
    if match := _YEAR_2020.fullmatch(path.stem):
        return _year_2020(path, folders, match)
    if match := _EVALUATION.fullmatch(path.stem):
        return MachineClip(path, _machine(folders), match["section"], "unknown", "test", "unknown")
    return _mimii(path, folders)


def _from_match(path: Path, folders: tuple[str, ...], match: re.Match[str]) -> MachineClip:
    domain: Domain = "source" if match["domain"] == "source" else "target"
    split: Split = "train" if match["split"] == "train" else "test"
    condition: Condition = "normal" if match["condition"] == "normal" else "anomaly"
    return MachineClip(path, _machine(folders), match["section"], domain, split, condition, match["attributes"] or "")


def _year_2020(path: Path, folders: tuple[str, ...], match: re.Match[str]) -> MachineClip:
    split: Split = "test" if "test" in folders else "train"
    condition: Condition = "normal" if match["condition"] == "normal" else "anomaly"
    return MachineClip(path, _machine(folders), match["section"], "source", split, condition)


def _mimii(path: Path, folders: tuple[str, ...]) -> MachineClip | None:
    if len(folders) < 2 or folders[-1] not in {"normal", "abnormal"}:
        return None
    match = _MIMII_FOLDER.fullmatch(folders[-2])
    if match is None:
        return None
    machine = match["machine"] or _machine(folders[:-2])
    if folders[-1] == "normal":
        return MachineClip(path, machine, match["section"], "source", "train", "normal")
    return MachineClip(path, machine, match["section"], "source", "test", "anomaly")


def _machine(folders: tuple[str, ...]) -> str:
    """The folder above the split's (`train`, `test`, `source_test` ...), or the last one."""
    names = [name for name in folders if not re.fullmatch(r"(source_|target_)?(train|test)|dev_data|eval_data", name)]
    return names[-1] if names else "machine"


def _attribute_tables(root: Path) -> dict[str, str]:
    """File name -> attributes, from every `attributes_*.csv` below `root`."""
    table: dict[str, str] = {}
    for path in sorted(root.rglob("attributes_*.csv")):
        with path.open(newline="", encoding="utf-8-sig") as handle:
            for row in csv.DictReader(handle):
                name = row.get("file_name")
                if not name:
                    raise AudioError(f"{path}: has no column 'file_name'", fix="use the table the data set came with")
                table[_key(path.parent.name, name)] = _attributes(row)
    return table


def _attributes(row: dict[str, str | None]) -> str:
    """`d1p, d1v, d2p, d2v ...` -> ``d1p_d1v_d2p_d2v`` without the empty ones."""
    values = [value for column, value in row.items() if column and column != "file_name" and value]
    return "_".join(value for value in values if value != "noAttributes")


def _key(machine: str, file_name: str) -> str:
    return f"{machine}/{Path(file_name).stem}"


def _with_table(clip: MachineClip, table: dict[str, str]) -> MachineClip:
    attributes = table.get(_key(clip.machine, clip.path.name), clip.attributes)
    return MachineClip(
        clip.path,
        clip.machine,
        clip.section,
        clip.domain,
        clip.split,
        clip.condition,
        "" if attributes == "noAttributes" else attributes,
    )
