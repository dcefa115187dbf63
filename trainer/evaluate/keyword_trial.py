"""Enrol words, listen, list every match: a keyword system on trial, through the product's own path.

A system is an embedding and that of ordinary speech; what is behind it (clip trimming, streaming DTW, combination of
templates, decision) is what `edged score --all-matches` runs, or the thesis's plain form of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.fft import dct

from edged.decide.keyword import KeywordDecider
from edged.embed.bundle import load_bundle
from edged.embed.onnx import OnnxEmbedder
from edged.features.logmel import log_mel_db
from edged.features.mel import mel_weights
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from edged.frontend import brevity_weight, keyword_reach, speech_rows
from edged.pipeline import embed_signal
from edged.references.templates import template_of_clip
from edged.score.dtw import StreamingDtw
from edged.score.keyword import MEDIAN_REACH, KeywordModel, Reach
from trainer.data.keywords import read_audio
from trainer.evaluate.keyword_sets import Task
from trainer.evaluate.spotting import Spotted
from trainer.keyword_systems.decide import PlainModel

HOP_SAMPLES = 256
HOP_S = HOP_SAMPLES / SAMPLE_RATE_HZ
HOLD_FRAMES = 62

Embed = Callable[[Float32Array], Float32Array]


@dataclass(frozen=True)
class System:
    """An embedding, float32 (n_samples,) -> (n_frames, dim) every 16 ms, and that of ordinary speech."""

    embed: Embed
    background: Float32Array
    reach: Reach = MEDIAN_REACH
    brevity_weight: float = 0.0


def product_system(bundle_directory: Path) -> tuple[System, float]:
    """A bundle as the daemon runs it, and its default limit."""
    bundle = load_bundle(bundle_directory)
    embedder = OnnxEmbedder(bundle)
    name = bundle.manifest.representations[0].name

    def embed(samples: Float32Array) -> Float32Array:
        rows = [embedding.vectors[name] for embedding in embed_signal(samples, bundle, embedder)]
        return np.concatenate(rows)[: -(-len(samples) // HOP_SAMPLES)]

    system = System(embed, speech_rows(bundle), keyword_reach(bundle), brevity_weight(bundle))
    return system, float(bundle.manifest.decision["limit_distance"])


def mfcc_system(data: Path) -> System:
    """The baseline, with MFCC of recorded words as its ordinary speech."""
    files = sorted((data / "speech" / "gsc").glob("*/*.ogg"))[::14]
    return System(mfcc, np.concatenate([mfcc(read_audio(path)) for path in files]))


def mfcc(samples: Float32Array) -> Float32Array:
    """12 MFCC (25 ms, every 16 ms) and their slopes, mean and variance normalised over the signal."""
    n_frames = -(-len(samples) // HOP_SAMPLES)
    padded = np.pad(samples, (72, HOP_SAMPLES * n_frames + 400)).astype(np.float32)
    mel_db = log_mel_db(padded, n_frames, mel_weights(40, 400, SAMPLE_RATE_HZ, 50.0, 8000.0), 400, HOP_SAMPLES)
    cepstrum = dct(np.maximum(mel_db, mel_db.max() - 80.0), norm="ortho", axis=1)[:, 1:13]
    cepstrum = (cepstrum - cepstrum.mean(axis=0)) / (cepstrum.std(axis=0) + 1e-6)
    return np.concatenate([cepstrum, np.gradient(cepstrum, axis=0)], axis=1).astype(np.float32)


def enrolled(task: Task, system: System) -> KeywordModel:
    """The words of a task as the product enrols them."""
    templates = {
        word: [template_of_clip(word, clip, system.embed(clip), HOP_SAMPLES) for clip in clips]
        for word, clips in task.shots.items()
    }
    return KeywordModel.fit(templates, system.background, 1.0, system.reach, system.brevity_weight)


def spot(model: KeywordModel, embedded: Mapping[str, Float32Array]) -> list[dict[str, list[Spotted]]]:
    """All matches of all words in all files: by the plain back end, and by the product's."""
    models = (PlainModel(**vars(model)), model)
    dtw = StreamingDtw(model.templates)
    deciders = [KeywordDecider(m.word_frames, np.full(len(m.words), np.inf), HOLD_FRAMES) for m in models]
    found: list[dict[str, list[Spotted]]] = [{}, {}]
    for name, rows in embedded.items():
        dtw.reset()
        trace = dtw.push(rows)
        for result, decider, back_end in zip(found, deciders, models, strict=True):
            matches = decider.push(0, *back_end.combine(trace)) + decider.flush(len(trace.distances))
            result[name] = [
                Spotted(model.words[m.word], m.frame_start * HOP_S, m.frame_end * HOP_S, m.distance) for m in matches
            ]
    return found
