"""Clips listed in a CSV file: `path` and, as far as known, machine, section, domain, split, condition, attributes.

    path,machine,condition,split
    press/monday.wav,press,normal,train
    press/bearing.wav,press,anomaly,test

Paths are relative to the CSV file. What is not said: machine = name of the CSV file, section ``00``, domain ``source``,
condition ``normal``, split ``train`` for normal clips and ``test`` for the others.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import cast, get_args

from edged.errors import AudioError
from trainer.data.csv_table import Row, read_csv
from trainer.data.machine_clip import SUFFIXES, Condition, Domain, MachineClip, Split

COLUMNS = ("path", "machine", "section", "domain", "split", "condition", "attributes")

_WORDS = {"domain": get_args(Domain), "split": get_args(Split), "condition": get_args(Condition)}
_LISTED = 10


def read_manifest(path: Path) -> list[MachineClip]:
    """The clips in the order of the file.

    Raises:
        AudioError: unreadable, unknown columns, or rows that cannot be used (the first ten are listed).
    """
    table = read_csv(path)
    _check_columns(path, table.header)
    problems: list[str] = []
    clips: dict[Path, MachineClip] = {}
    for line, row in table.rows:
        clip = _clip(path, row)
        found = [*_row_problems(row), *_file_problems(clip, row["path"])]
        if clip.path in clips:
            found.append(f"'{row['path']}' is listed twice")
        problems += [f"line {line}: {problem}" for problem in found]
        clips[clip.path] = clip
    if problems or not clips:
        more = f", and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        raise AudioError(
            f"{path}: {'; '.join(problems[:_LISTED]) or 'lists no clips'}{more}", fix="correct the manifest"
        )
    return list(clips.values())


def _check_columns(path: Path, header: tuple[str, ...]) -> None:
    problems = [f"unknown column '{name}'{_suggestion(name, COLUMNS)}" for name in header if name not in COLUMNS]
    problems += [f"column '{name}' stands twice" for name in sorted(set(header)) if header.count(name) > 1]
    if "path" not in header:
        problems.append("no column 'path'")
    if problems:
        raise AudioError(f"{path}: {'; '.join(problems)}", fix=f"columns are {', '.join(COLUMNS)}")


def _clip(manifest: Path, row: Row) -> MachineClip:
    condition = row.get("condition") or "normal"
    split = row.get("split") or ("train" if condition == "normal" else "test")
    return MachineClip(
        manifest.parent / row["path"],
        row.get("machine") or manifest.stem,
        row.get("section") or "00",
        cast("Domain", row.get("domain") or "source"),
        cast("Split", split),
        cast("Condition", condition),
        row.get("attributes") or "",
    )


def _row_problems(row: Row) -> list[str]:
    """What is wrong with the words of a row; names become parts of file names, hence no separators in them."""
    problems = [
        f"{column} '{row[column]}'{_suggestion(row[column], words)}"
        for column, words in _WORDS.items()
        if row.get(column) and row[column] not in words
    ]
    names = [(column, row.get(column, "")) for column in ("machine", "section")]
    problems += [f"{column} '{name}' holds a slash or begins with a dot" for column, name in names if _unsafe(name)]
    if row.get(""):
        problems.append(f"more cells than columns ('{row['']}')")
    return problems


def _unsafe(name: str) -> bool:
    return name.startswith(".") or not {"/", "\\", "\0"}.isdisjoint(name)


def _file_problems(clip: MachineClip, written: str) -> list[str]:
    if not written:
        return ["no path"]
    if clip.path.suffix.lower() not in SUFFIXES:
        return [f"'{written}' is no {', '.join(SUFFIXES)} file"]
    return [] if _is_file(clip.path) else [f"no file '{written}' (looked at {clip.path})"]


def _is_file(path: Path) -> bool:
    """False also for what no file can be called, such as a name of a thousand letters."""
    try:
        return path.is_file()
    except OSError:
        return False


def _suggestion(word: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word.lower(), known, n=1)
    return f", did you mean '{close[0]}'?" if close else f" (one of {', '.join(known)})"
