"""Labels with times for a folder of sentences whose words are known: templates, features, alignment, tables.

clips per word --features--> templates --+
                                         +--> align_order --> file, keyword, onset_s, offset_s
sentences, order of words --features-----+
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from rich.progress import track

from edged.embed.bundle import load_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.errors import AudioError, UsageError
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from edged.pipeline import embed_signal
from edged.references.templates import template_of_clip
from edged.score.barycentre import frechet_mean
from trainer.align import align_order
from trainer.data.hfcc import HOP_SAMPLES, hfcc
from trainer.data.keyword_order import Orders
from trainer.data.keywords import WordClip, read_audio
from trainer.files import write_whole

Template = Literal["best", "mean"]


@dataclass(frozen=True)
class Features:
    """What sentences and words are compared by.

    Attributes:
        rows: samples -> float32 (n_frames, dim).
        hop_samples: from row to row.
    """

    rows: Callable[[Float32Array], Float32Array]
    hop_samples: int


@dataclass(frozen=True)
class StrongLabel:
    """A word with its times; `distance` is how unlike its shots it is, 0 = the same."""

    file: str
    keyword: str
    onset_s: float
    offset_s: float
    distance: float


HFCC = Features(hfcc, HOP_SAMPLES)


def bundle_features(directory: Path) -> Features:
    """The embedding of a keyword bundle, as the daemon computes it.

    Raises:
        BundleError: damaged.
        UsageError: of another kind.
    """
    bundle = load_bundle(directory)
    if bundle.manifest.kind != "keyword":
        raise UsageError(f"{directory}: not a keyword bundle", fix="name one, or leave --bundle out")
    embedder = OnnxEmbedder(bundle)
    name, hop = bundle.manifest.representations[0].name, int(bundle.manifest.features["hop_samples"])

    def rows(samples: Float32Array) -> Float32Array:
        parts = [embedding.vectors[name] for embedding in embed_signal(samples, bundle, embedder)]
        return np.concatenate(parts)[: -(-len(samples) // hop)]

    return Features(rows, hop)


def templates_of(clips: Iterable[WordClip], features: Features, template: Template) -> dict[str, list[Float32Array]]:
    """Word -> its shots without silence, or their Frechet mean.

    Raises:
        EnrolmentError: a clip holds no usable word.
    """
    found: dict[str, list[Float32Array]] = {}
    for clip in clips:
        name = f"{clip.word}/{clip.speaker}"
        rows = template_of_clip(name, clip.samples, features.rows(clip.samples), features.hop_samples)
        found.setdefault(clip.word, []).append(rows)
    return found if template == "best" else {word: [frechet_mean(shots)] for word, shots in found.items()}


def align_sentences(
    orders: Orders,
    sentences: Path,
    templates: Mapping[str, Sequence[Float32Array]],
    features: Features,
    *,
    progress: bool = False,
) -> list[StrongLabel]:
    """Labels of all files, in the order of the files and of the words in them.

    Raises:
        UsageError: a word without a clip.
        AudioError: a file that is not there, cannot be read, or is too short for its words.
    """
    unknown = sorted({word for words in orders.values() for word in words} - set(templates))
    if unknown:
        raise UsageError(f"no clips of {', '.join(unknown[:10])}", fix="add a folder of clips for each")
    labels: list[StrongLabel] = []
    for file, words in track(orders.items(), description="aligning", disable=not progress):
        labels += _sentence_labels(file, words, _inside(sentences, file), templates, features)
    return labels


def _inside(directory: Path, file: str) -> Path:
    path = (directory / file).resolve()
    if not path.is_relative_to(directory.resolve()):
        raise AudioError(f"{file}: not below {directory}", fix="name files relative to --sentences")
    return path


def _sentence_labels(
    file: str, words: Sequence[str], path: Path, templates: Mapping[str, Sequence[Float32Array]], features: Features
) -> list[StrongLabel]:
    if not words:
        return []
    rows = features.rows(read_audio(path))
    try:
        found = align_order([templates[word] for word in words], rows)
    except AudioError as error:
        raise AudioError(f"{file}: {error.message}", fix=error.fix) from error
    hop_s = features.hop_samples / SAMPLE_RATE_HZ
    return [
        StrongLabel(file, word, round(a.frame_start * hop_s, 3), round(a.frame_end * hop_s, 3), round(a.distance, 4))
        for word, a in zip(words, found, strict=True)
    ]


def write_labels(path: Path, labels: Sequence[StrongLabel]) -> None:
    """A JSON list (``.json``), or a table that the reader of KWS-DailyTalk reads; written whole.

    Raises:
        StorageError: the place cannot be written.
    """
    rows = [asdict(label) for label in labels]
    if path.suffix.lower() == ".json":
        write_whole(path, (json.dumps(rows, indent=1, ensure_ascii=False) + "\n").encode())
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, list(StrongLabel.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())
