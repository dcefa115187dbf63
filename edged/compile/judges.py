"""The banks an engine is tried on: what is enrolled on this device, and one made of the reference clips."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from edged.assembly import Assembly, MonitorName
from edged.compile.parity import Judge
from edged.compile.reference import N_SOUND, reference_signals
from edged.config import AnomalySettings, KeywordSettings
from edged.demo.speech import ENROLMENT_CLIPS, spoken_clip
from edged.embed.bundle import Bundle
from edged.embed.protocol import Embedder
from edged.errors import EnrolmentError, StateError
from edged.flow import Embedding
from edged.pipeline import AnomalyMonitor, KeywordMonitor, embed_signal
from edged.references import anomaly, keyword, templates
from edged.references.clips import KEYWORD_CLIPS, Clip, clip_of_samples
from edged.references.store import BankStore

_PROBE = "reference clips"
_WORDS = {"maintenance": ENROLMENT_CLIPS, "attention": ("attention-1",), "conveyor": ("conveyor-1",)}


def enrolled_judges(assembly: Assembly, store: BankStore, bundle: Bundle) -> Iterator[Judge]:
    """A judge for every active bank that was made with the bundle's network; what cannot be read is passed over."""
    for stream, name in store.streams():
        kind: MonitorName = "anomaly" if name == "anomaly" else "keyword"
        if kind != bundle.manifest.kind or assembly.bundle(stream, kind).vectors_digest != bundle.vectors_digest:
            continue
        try:
            bank = assembly.bank(store, stream, kind)
        except StateError:
            continue
        monitor = partial(assembly.monitor, store, stream, kind)
        if isinstance(bank, anomaly.AnomalyBank):
            yield Judge(f"{stream}/{kind}", monitor, bank.scorer.normal_scores, bank.threshold)
        else:
            yield Judge(f"{stream}/{kind}", monitor)


def probe_judge(bundle: Bundle, embedder: Embedder, clips: Sequence[Sequence[Embedding]]) -> Judge:
    """A bank of reference sound, for a device on which nothing is enrolled.

    Args:
        embedder: the trusted one.
        clips: embeddings of the reference clips by it.
    """
    if bundle.manifest.kind == "keyword":
        words = _word_bank(bundle, embedder)
        return Judge(_PROBE, lambda: KeywordMonitor(_PROBE, bundle, KeywordSettings(), words, all_matches=True))
    bank = _machine_bank(bundle, clips)
    scores, threshold = bank.scorer.normal_scores, bank.threshold
    return Judge(_PROBE, lambda: AnomalyMonitor(_PROBE, bundle, AnomalySettings(), bank), scores, threshold)


def _machine_bank(bundle: Bundle, clips: Sequence[Sequence[Embedding]]) -> anomaly.AnomalyBank:
    """The pump's sound clips enrolled."""
    named = []
    for samples, embeddings in list(zip(reference_signals(bundle), clips, strict=True))[:N_SOUND]:
        digest = hashlib.sha256(samples.tobytes()).hexdigest()
        named.append((Clip(_PROBE, digest, len(samples), partial(np.copy, samples)), embeddings))
    return anomaly.extended_bank(bundle, None, named, "source")


def _word_bank(bundle: Bundle, embedder: Embedder) -> keyword.KeywordBank:
    bank: keyword.KeywordBank | None = None
    for word, names in _WORDS.items():
        spoken = []
        for name in names:
            samples = np.pad(0.05 * spoken_clip(name), 4800).astype(np.float32)
            clip = clip_of_samples(name, samples, KEYWORD_CLIPS)
            found = templates.spoken_clip(bundle, clip, embed_signal(samples, bundle, embedder))
            if isinstance(found, templates.SpokenClip):
                spoken.append(found)
        bank = keyword.extended_bank(bundle, bank, spoken, word)
    if bank is None:
        raise EnrolmentError("no reference word was found")
    return bank
