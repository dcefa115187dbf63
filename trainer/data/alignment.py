"""Phone times of recorded words, found with an embedder that was trained on synthetic speech.

The pronunciation comes from espeak-ng, the times from the most likely path through [silence] phones [silence]; the
network then goes on training with real voices. Weak labels become strong ones, with no hand in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edged.features.keyword import KeywordSpec
from edged.flow import SAMPLE_RATE_HZ, Float64Array
from trainer.data.keywords import WordClip
from trainer.data.speech_synth import Espeak, espeak
from trainer.keyword_bundle import embed_signal
from trainer.losses.tacos import TACos, tacos_similarity

MIN_PHONE_FRAMES = 2
ACCENTS = ("en-us", "en-gb")


def pronunciations(engine: Espeak, word: str) -> list[tuple[int, ...]]:
    """Distinct phone sequences of an English word; those with an unknown sound are left out."""
    found = []
    for accent in ACCENTS:
        phones = tuple(p for p, _, _ in engine.speak(word, accent, 160, 50, 50).phones if p != 0)
        if phones and min(phones) > 0 and phones not in found:
            found.append(phones)
    return found


def align(log_likelihood: Float64Array, phones: Sequence[int], silence: int = 0) -> tuple[float, list[tuple[int, int]]]:
    """Most likely path of (n_frames, n_phones) through silence, the phones in order, silence.

    Returns:
        mean log-likelihood per frame, and (first frame, one past the last) of each phone. The silences may be empty,
        a phone lasts at least two frames.

    >>> scores = np.log(np.eye(2)[[0, 0, 1, 1, 1, 0]] * 0.8 + 0.1)
    >>> align(scores, [1])[1]
    [(2, 5)]
    """
    states = [silence, *(phone for phone in phones for _ in range(MIN_PHONE_FRAMES)), silence]
    n_frames, n_states = len(log_likelihood), len(states)
    total = np.full(n_states, -np.inf)
    total[:2] = log_likelihood[0, states[:2]]
    came = np.zeros((n_frames, n_states), dtype=np.int64)
    may_stay = np.array([True, *([False] * (MIN_PHONE_FRAMES - 1) + [True]) * len(phones), True])
    for t in range(1, n_frames):
        stay = np.where(may_stay, total, -np.inf)
        step = np.concatenate([[-np.inf], total[:-1]])
        came[t] = step > stay
        total = np.maximum(stay, step) + log_likelihood[t, states]
    state = n_states - 1 if total[-1] >= total[-2] else n_states - 2
    score = float(total[state]) / n_frames
    path = np.zeros(n_frames, dtype=np.int64)
    for t in range(n_frames - 1, -1, -1):
        path[t] = state
        state -= int(came[t, state])
    return score, [_frames_of(path, index) for index in range(len(phones))]


def _frames_of(path: NDArray[np.int64], phone: int) -> tuple[int, int]:
    first = 1 + phone * MIN_PHONE_FRAMES
    inside = np.flatnonzero((path >= first) & (path < first + MIN_PHONE_FRAMES))
    return int(inside[0]), int(inside[-1]) + 1


def aligned_clip(
    clip: WordClip, log_likelihood: Float64Array, candidates: Iterable[Sequence[int]], frame_s: float
) -> WordClip:
    """The clip with the phone times of its most likely pronunciation; as it was if it is too short for any."""
    fitting = [phones for phones in candidates if len(phones) * MIN_PHONE_FRAMES < len(log_likelihood)]
    if not fitting:
        return clip
    results = [(align(log_likelihood, phones), phones) for phones in fitting]
    (_, spans), phones = max(results, key=lambda result: result[0][0])
    times = [(phone, start * frame_s, end * frame_s) for phone, (start, end) in zip(phones, spans, strict=True)]
    return replace(clip, phones=tuple(times))


def align_words(
    clips: Mapping[str, Sequence[WordClip]], network: nn.Module, phone_loss: TACos, spec: KeywordSpec
) -> dict[str, list[WordClip]]:
    """All recorded English words (classes ``en-...``) with phone times; others as they are."""
    engine, frame_s = espeak(), spec.hop_samples / SAMPLE_RATE_HZ
    aligned: dict[str, list[WordClip]] = {}
    for word, takes in clips.items():
        candidates = pronunciations(engine, word.removeprefix("en-")) if word.startswith("en-") else []
        aligned[word] = [
            aligned_clip(take, phone_log_likelihood(network, phone_loss, take, spec), candidates, frame_s)
            if candidates
            else take
            for take in takes
        ]
    return aligned


def phone_log_likelihood(network: nn.Module, phone_loss: TACos, clip: WordClip, spec: KeywordSpec) -> Float64Array:
    """What the phone head says of each frame: (n_frames, n_phones)."""
    rows = torch.from_numpy(embed_signal(network.cpu(), clip.samples, spec)).unsqueeze(1)
    with torch.no_grad():
        similarity = tacos_similarity(rows, phone_loss.centres.cpu())[:, :, 0]
        return np.asarray(torch.log_softmax(phone_loss.scale.cpu() * similarity, dim=1).numpy(), dtype=np.float64)
