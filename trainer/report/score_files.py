"""The score files that DCASE takes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from edged.errors import UsageError
from trainer.evaluate.bundle import SectionScores
from trainer.files import write_whole


def write_scores(directory: Path, sections: Sequence[SectionScores]) -> list[Path]:
    """`anomaly_score_<machine>_section_<NN>_test.csv`, as DCASE takes submissions: a line `file,score` per test clip.

    Raises:
        UsageError: two sections would have the same file; nothing is written.
        StorageError: the directory cannot be written to.
    """
    texts: dict[Path, str] = {}
    for section in sections:
        path = directory / f"anomaly_score_{_plain(section.machine)}_section_{_plain(section.section)}_test.csv"
        if path in texts:
            raise UsageError(f"{path.name} would be that of two sections", fix="give them names that differ in letters")
        texts[path] = _lines(section)
    for path, text in texts.items():
        write_whole(path, text.encode(errors="surrogateescape"))
    return list(texts)


def _lines(section: SectionScores) -> str:
    buffer = io.StringIO()
    rows = [(name, repr(float(score))) for name, score in zip(section.clip_names, section.scores, strict=True)]
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def _plain(name: str) -> str:
    """A name for a file: letters of ASCII, digits, dots, hyphens.

    >>> _plain("../fan <b>")
    '.._fan__b_'
    """
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
