"""The files below a folder as people lay them out: through links to folders, without what is hidden."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edged.errors import AudioError


def files_below(root: Path) -> list[Path]:
    """Every file below a folder, sorted; those of folders that are linked there, too.

    Hidden files and folders do not count (``._`` files of macOS archives, ``.git``, wastebaskets). A folder that is
    reached in several ways is listed once, by its own place where that is below `root`: so links may run in circles.

    Raises:
        AudioError: a folder that cannot be listed, of which nobody would miss the files.
    """
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    entrances = [root]
    while entrances:
        links: list[Path] = []
        for entrance in sorted(entrances):
            for folder, subfolders, names in _folders(entrance, seen):
                links += [folder / name for name in subfolders if (folder / name).is_symlink()]
                found += [folder / name for name in names if not name.startswith(".")]
        entrances = links
    return sorted(found)


def _folders(top: Path, seen: set[tuple[int, int]]) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Folder, its visible subfolders, its files; from `top` downwards, but neither through links nor where one was."""
    for folder, subfolders, names in os.walk(top, onerror=_refuse):
        state = Path(folder).stat()
        if (state.st_dev, state.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        yield Path(folder), subfolders, names


def _refuse(error: OSError) -> None:
    raise AudioError(
        f"{error.filename}: cannot be listed ({error.strerror})", fix="give it read permission, or move it away"
    ) from error
