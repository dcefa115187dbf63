"""From a bundle and recordings to the page, the figures for programs and the score files."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import edged
from edged.embed.bundle import MODEL_NAME, Bundle, load_bundle
from edged.errors import UsageError
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from trainer.data.clips import read_recording
from trainer.data.recordings import read_machine_data
from trainer.evaluate.bundle import BundleRun, refuse_keywords, run_bundle
from trainer.evaluate.judged import JudgedSection
from trainer.files import refuse_closed, write_whole
from trainer.report.evaluation import Evaluation
from trainer.report.mistakes import worst_mistakes
from trainer.report.page import render_page
from trainer.report.score_files import write_scores
from trainer.report.spectrograms import log_spectrogram
from trainer.report.summary import summarise, summary_fields

LEVEL_NOTE = (
    "This bundle divides every segment by its own level, so loudness itself does not enter its scores; what comes with "
    "it, such as a better signal-to-noise ratio, may"
)


@dataclass(frozen=True)
class Evaluated:
    """What was found: the figures for programs, and the files that were written."""

    fields: dict[str, Any]
    files: tuple[Path, ...]


def evaluate_bundle(
    bundle: Path, data: Path, out: Path, *, scores: Path | None = None, seed: int = 0, progress: bool = False
) -> Evaluated:
    """Judge recordings with a bundle and write the page.

    Args:
        bundle: directory of an anomaly bundle.
        data: recordings that `read_machine_data` takes.
        out: the page.
        scores: folder for DCASE's score files.
        seed: of the intervals and the map.
        progress: a bar on stderr, where that is a terminal.

    Raises:
        BundleError, AudioError, UsageError: as of `load_bundle`, the reader of the recordings, and `run_bundle`.
        StorageError: the page or the score files cannot be written.
    """
    loaded = load_bundle(bundle)
    refuse_keywords(loaded)
    if out.is_dir():
        raise UsageError(f"{out}: is a directory", fix="name a file, such as report.html")
    for folder in (out.parent, *([scores] if scores else [])):
        refuse_closed(folder)
    run = run_bundle(loaded, read_machine_data(data), progress=progress)
    evaluation = evaluation_of(loaded, data, run, seed)
    summary = summarise(evaluation)
    write_whole(out, render_page(evaluation, summary).encode())
    written = write_scores(scores, run.sections) if scores else []
    return Evaluated(summary_fields(evaluation, summary), (out, *written))


def evaluation_of(bundle: Bundle, data: Path, run: BundleRun, seed: int = 0) -> Evaluation:
    """The page's contents, with the spectrograms of the worst errors."""
    judged = run.judged
    worst = [mistake.path for side in worst_mistakes(judged) for mistake in side]
    pictures = {path: _picture(path) for path in worst}
    return Evaluation(
        title=f"{bundle.manifest.id} {bundle.manifest.version} on {data.name or data.resolve().name}",
        systems={bundle.manifest.id: judged} if judged else {},
        embeddings={bundle.manifest.id: run.embeddings},
        listed=run.listed,
        levels_dbfs=run.levels_dbfs,
        spectrograms={path: spectrogram for path, (spectrogram, _) in pictures.items()},
        durations_s={path: duration_s for path, (_, duration_s) in pictures.items()},
        facts=_facts(bundle, data, run),
        notes=(*run.notes, *_level_note(bundle, judged)),
        seed=seed,
    )


def _picture(path: Path) -> tuple[Float32Array, float]:
    """Spectrogram and length of a recording, which may be an hour long and is not kept."""
    samples = read_recording(path)
    return log_spectrogram(samples), len(samples) / SAMPLE_RATE_HZ


def _facts(bundle: Bundle, data: Path, run: BundleRun) -> dict[str, str]:
    specs = bundle.manifest.representations
    n_test = sum(len(section.clips) for section in run.sections)
    return {
        "bundle": bundle.label,
        "network": bundle.manifest.files.get(MODEL_NAME, "none: statistics alone")[:24],
        "scored": ", ".join(f"{s.name} ({s.backend}, weight {s.weight:g})" for s in specs if s.weight > 0),
        "data": str(data),
        "clips": f"{n_test} judged in {len(run.sections)} sections",
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "versions": f"edged {edged.__version__}, onnxruntime {version('onnxruntime')}, numpy {np.__version__}, "
        f"scikit-learn {version('scikit-learn')}, python {platform.python_version()} on {platform.machine()}",
    }


def _level_note(bundle: Bundle, judged: Sequence[JudgedSection]) -> list[str]:
    return [LEVEL_NOTE] if judged and bundle.manifest.features.get("normalise_level") else []
