r"""The reader of KWS-DailyTalk (thesis section 6.3.2): words with their times in sentences of DailyTalk.

    train_keywords.csv, kws_dailytalk_validation.csv, kws_dailytalk_test.csv
        idx,event_label,event_onset,event_offset,file,scene_label
    kws_splits_..._test_list.csv, validation_sentences.csv
        one line per sentence, without a header: those without a word are in these lists only

Files are named as where they were made (``.\dailytalk\data\1081\1_0_d1081.wav``). A sentence is known by the name of
its file without folders and suffix, which is unique in DailyTalk.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from edged.errors import AudioError
from edged.flow import SAMPLE_RATE_HZ
from trainer.data.csv_table import CsvTable, read_csv
from trainer.data.file_tree import files_below
from trainer.data.keywords import SUFFIXES, WordClip, read_audio
from trainer.evaluate.sound_events import Event, Recordings

COLUMNS = {
    "file": ("file", "filename", "path", "wav"),
    "keyword": ("event_label", "keyword", "label", "word"),
    "onset_s": ("event_onset", "onset_s", "onset", "start", "start_s"),
    "offset_s": ("event_offset", "offset_s", "offset", "end", "end_s"),
}
"""What is needed -> names it goes by, compared without case."""

MAX_SENTENCE_S = 3600.0


@dataclass(frozen=True)
class Annotation:
    """One line of an annotation table."""

    sentence: str
    event: Event


def sentence_of(file: str) -> str:
    r"""The name of a sentence, from a path of any system.

    >>> sentence_of(r".\dailytalk\data\1081\1_0_d1081.wav"), sentence_of("data/1081/1_0_d1081.wav")
    ('1_0_d1081', '1_0_d1081')
    """
    return PureWindowsPath(file.strip()).stem


def read_annotations(path: Path) -> list[Annotation]:
    """The lines of an annotation table in their order.

    Raises:
        AudioError: unreadable, without a column that is needed, or a line that is no event; names file and line.
    """
    table = read_csv(path)
    names = _columns(path, table)
    return [_annotation(row, names, f"{path}, line {line}") for line, row in table.rows]


def _columns(path: Path, table: CsvTable) -> dict[str, str]:
    """What is needed -> the column that has it."""
    header = {name.lower(): name for name in table.header}
    found = {need: next((header[n] for n in names if n in header), None) for need, names in COLUMNS.items()}
    missing = [COLUMNS[need][0] for need, name in found.items() if name is None]
    if missing:
        raise AudioError(f"{path}, line 1: no column {', '.join(missing)}", fix=f"found: {', '.join(header.values())}")
    return {need: name for need, name in found.items() if name is not None}


def _annotation(row: Mapping[str, str], names: Mapping[str, str], where: str) -> Annotation:
    file, keyword = row[names["file"]], row[names["keyword"]]
    onset_s, offset_s = (_seconds(row[names[need]], names[need], where) for need in ("onset_s", "offset_s"))
    if not file or not keyword:
        raise AudioError(f"{where}: no {'file' if not file else 'keyword'}", fix="fill it in or remove the line")
    if not onset_s < offset_s:
        raise AudioError(f"{where}: '{keyword}' ends at {offset_s} s, not after its onset at {onset_s} s")
    return Annotation(sentence_of(file), Event(keyword, onset_s, offset_s))


def _seconds(cell: str, column: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= MAX_SENTENCE_S:
        raise AudioError(f"{where}: '{cell}' in {column} is no time in seconds", fix="write 1.25 for 1.25 s")
    return value


def read_sentences(path: Path) -> list[str]:
    """Names of the sentences in a list without a header; the first cell of each line counts.

    Raises:
        AudioError: unreadable, or no sentence in it.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            names = [sentence_of(row[0]) for row in csv.reader(handle) if row and row[0].strip()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AudioError(f"{path}: {error}", fix="give a list with one sentence per line") from error
    if not names:
        raise AudioError(f"{path}: lists no sentences")
    return list(dict.fromkeys(names))


def recordings_of(annotations: Iterable[Annotation], sentences: Iterable[str] = ()) -> Recordings:
    """Sentence -> its events in order of time; those that are only listed hold none."""
    found: dict[str, list[Event]] = {name: [] for name in sentences}
    for annotation in annotations:
        found.setdefault(annotation.sentence, []).append(annotation.event)
    return {name: sorted(events, key=lambda event: event.onset_s) for name, events in found.items()}


def find_sentences(directory: Path) -> dict[str, Path]:
    """Sentence -> audio file, anywhere below a directory.

    Raises:
        AudioError: there are none, or two of one name.
    """
    found: dict[str, Path] = {}
    for path in files_below(directory):
        if path.suffix.lower() in SUFFIXES:
            if path.stem in found:
                raise AudioError(
                    f"{path}: the sentence is also {found[path.stem]}", fix="name a folder with one of them"
                )
            found[path.stem] = path
    if not found:
        raise AudioError(f"{directory}: holds no {', '.join(SUFFIXES)} files", fix="name DailyTalk's data folder")
    return found


def keyword_clips(annotations: Iterable[Annotation], audio: Mapping[str, Path]) -> Iterator[WordClip]:
    """The annotated words cut out of their sentences: the shots, of ``train_keywords.csv``.

    Raises:
        AudioError: a sentence is not there, cannot be read, or ends before the word.
    """
    for annotation in annotations:
        event, path = annotation.event, audio.get(annotation.sentence)
        if path is None:
            raise AudioError(f"no audio of sentence {annotation.sentence}", fix="name DailyTalk's data folder")
        samples = read_audio(path)
        clip = samples[round(event.onset_s * SAMPLE_RATE_HZ) : round(event.offset_s * SAMPLE_RATE_HZ)]
        if len(clip) == 0:
            raise AudioError(f"{path}: ends before '{event.label}' at {event.onset_s} s", fix="check its annotation")
        yield WordClip(event.label, annotation.sentence, clip)
