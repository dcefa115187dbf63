"""The tables that DCASE data sets come with: attributes of the clips, and the true names of evaluation clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edged.errors import AudioError
from trainer.data.csv_table import Row, read_csv
from trainer.data.file_tree import files_below
from trainer.data.layouts import NO_ATTRIBUTES, with_truth
from trainer.data.machine_clip import MachineClip

_FILE_COLUMNS = ("file_name", "filename")


@dataclass(frozen=True)
class DcaseTables:
    """What stands beside the clips.

    Attributes:
        attributes: (folder of the table, stem) -> attributes; two years may have the same machine and names.
        truths: (machine, stem) -> true stem of an evaluation clip.
    """

    attributes: Mapping[tuple[Path, str], str]
    truths: Mapping[tuple[str, str], str]

    def told(self, clip: MachineClip) -> MachineClip:
        """The clip with what the tables add."""
        true_stem = self.truths.get((clip.machine, clip.path.stem))
        if true_stem and clip.condition == "unknown":
            clip = with_truth(clip, true_stem)
        folders = (clip.path.parent, clip.path.parent.parent)
        found = next(
            (self.attributes[key] for folder in folders if (key := (folder, clip.path.stem)) in self.attributes), ""
        )
        return replace(clip, attributes=found or clip.attributes)


def read_tables(root: Path) -> DcaseTables:
    """Every `attributes_*.csv` and `eval_data_list*.csv` below `root`.

    Raises:
        AudioError: a table that cannot be read or lacks its file names.
    """
    attributes: dict[tuple[Path, str], str] = {}
    truths: dict[tuple[str, str], str] = {}
    tables = [path for path in files_below(root) if path.suffix == ".csv"]
    for path in tables:
        if path.name.startswith("attributes_"):
            attributes |= {(path.parent, stem): text for stem, text in _attribute_rows(path)}
        if path.name.startswith("eval_data_list"):
            truths |= _true_names(path)
    return DcaseTables(attributes, truths)


def _attribute_rows(path: Path) -> list[tuple[str, str]]:
    table = read_csv(path)
    column = next((name for name in _FILE_COLUMNS if name in table.header), None)
    if column is None:
        raise AudioError(f"{path}: has no column 'file_name'", fix="use the table the data set came with")
    return [(_stem(row[column]), _attributes(row, column)) for _, row in table.rows if row[column]]


def _attributes(row: Row, column: str) -> str:
    """`d1p, d1v, d2p, d2v ...` -> ``d1p_d1v_d2p_d2v`` without the empty ones."""
    return "_".join(value for name, value in row.items() if name != column and value not in NO_ATTRIBUTES)


def _true_names(path: Path) -> dict[tuple[str, str], str]:
    """A list in blocks: the machine alone on a line, then `published name,true name` for each of its clips."""
    names: dict[tuple[str, str], str] = {}
    table = read_csv(path)
    machine = table.header[0] if table.header else ""
    for _, row in table.rows:
        published, *true_name = ",".join(cell for cell in row.values() if cell).split(",")
        if true_name:
            names[machine, _stem(published)] = _stem(true_name[0])
        else:
            machine = published
    return names


def _stem(file_name: str) -> str:
    """The name without folders and ending; names of ToyCar's tables have neither."""
    name = file_name.replace("\\", "/").rsplit("/", 1)[-1]
    return name[: -len(".wav")] if name.lower().endswith(".wav") else name
