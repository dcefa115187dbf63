"""The files of an explanation: picture, arrays and summary, each complete or not there."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edged.errors import UsageError
from trainer.explain.explanation import Explanation, arrays, summary
from trainer.explain.plot import write_picture
from trainer.files import write_whole


def output_names(clips: Sequence[Path]) -> list[str]:
    """A name for every clip's files: its own without the suffix, with a number where two would be the same.

    >>> output_names([Path("a/x.wav"), Path("b/x.flac"), Path("y.wav")])
    ['x', 'x-2', 'y']
    """
    names: list[str] = []
    for clip in clips:
        name, number = clip.stem, 1
        while name in names:
            number += 1
            name = f"{clip.stem}-{number}"
        names.append(name)
    return names


def make_directory(directory: Path) -> None:
    """Make the directory that explanations go to.

    Raises:
        UsageError: it cannot be made, or is something else.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{directory}: {error.strerror or error}", fix="name a directory for --out") from error


def write_explanation(directory: Path, name: str, clip: Path, explanation: Explanation) -> dict[str, Any]:
    """Write `name`.png, .npz and .json, each whole or not at all; the summary is returned too.

    Raises:
        StorageError: the directory cannot be written to, or is full.
    """
    files = {kind: directory / f"{name}.{kind}" for kind in ("png", "npz", "json")}
    shown = printable(clip)
    facts = {
        "clip": shown,
        **summary(explanation),
        "picture": printable(files["png"]),
        "arrays": printable(files["npz"]),
    }
    picture, stored = io.BytesIO(), io.BytesIO()
    write_picture(picture, printable(Path(clip.name)), explanation)
    np.savez_compressed(stored, **arrays(explanation))  # type: ignore[arg-type]
    text = json.dumps(facts, indent=2, allow_nan=False) + "\n"
    write_whole(files["png"], picture.getvalue())
    write_whole(files["npz"], stored.getvalue())
    write_whole(files["json"], text.encode())
    return facts


def printable(path: Path) -> str:
    """A path as text that can be written anywhere; bytes that are no characters become question marks."""
    return str(path).encode("utf-8", "replace").decode("utf-8")
