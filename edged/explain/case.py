"""What is to be explained: the sound of an event with the references that decided, or any recording."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edged.assembly import Assembly
from edged.capture.files import read_clip
from edged.config import Config
from edged.errors import AudioError, StateError, UsageError
from edged.events.clips import clip_origin, clip_path
from edged.events.journal import JournalReader
from edged.explain.explanation import Explanation, as_facts, explain_segment, strangest
from edged.explain.importance import Track
from edged.explain.judge import Judge
from edged.features.anomaly import AnomalyFeatures, AnomalySpec, segment_features
from edged.flow import Block, Float32Array, Segment
from edged.frontend import anomaly_spec
from edged.pipeline import AnomalyMonitor
from edged.references.anomaly import bank_of_store
from edged.references.search import printable_name
from edged.references.store import BankStore, StoredBank


@dataclass(frozen=True)
class Case:
    """Everything an explanation needs.

    Attributes:
        name: for the picture's file.
        title: for people.
        segment: what is explained, with its samples; its position counts from the clip's beginning.
        about: facts of the event or file, for the JSON.
        notes: what differs from the moment of the event.
    """

    name: str
    title: str
    judge: Judge
    spec: AnomalySpec
    segment: Segment
    threshold: float
    about: dict[str, Any]
    notes: tuple[str, ...] = ()

    def explained(self, n_runs: int, track: Track = iter) -> Explanation:
        """Explain it.

        Raises:
            BundleError: the model gives what is no vector.
        """
        return explain_segment(self.judge, self.spec, self.segment, self.threshold, n_runs=n_runs, track=track)

    def facts(self, found: Explanation) -> dict[str, Any]:
        """The explanation and what it is about, JSON-serialisable."""
        return self.about | as_facts(found)


def case_of_file(config: Config, store: BankStore, stream: str, path: Path, channel: int = 0) -> Case:
    """A recording, judged by the references in use, at its strangest segment.

    Raises:
        UsageError: nothing is enrolled on the stream.
        AudioError: the file cannot be read.
    """
    assembly = Assembly(config)
    stored = store.load_active(stream, "anomaly")
    if stored is None:
        raise UsageError(f"stream '{stream}': nothing is enrolled", fix="run `edged enroll --clips DIR` first")
    judge, spec = _judge(assembly, stored)
    samples = read_clip(path, channel=channel)
    segment = strangest(judge, _segments(samples, spec))
    threshold = _threshold(assembly, store, stream, judge.nearest(judge.embedding(segment))["domain"])
    about = {"file": printable_name(str(path)), "stream": stream, "bank": stored.version}
    return Case(printable_name(path.stem), printable_name(path.name), judge, spec, segment, threshold, about)


def case_of_event(config: Config, store: BankStore, event_id: str) -> Case:
    """An event, judged by the references that decided, at the segment that decided.

    Raises:
        UsageError: there is no such event, or it is no anomaly.
        AudioError: its sound was not saved, or is gone.
        StateError: the references cannot be used.
    """
    event = _anomaly_event(config, event_id)
    path = clip_path(config.state_path, event.get("clip"))
    if path is None:
        fix = "clips are kept for a while and only where `clips.anomaly` is on; explain a recording with --clips FILE"
        raise AudioError(f"event {event_id}: no sound of it is kept", fix=fix)
    stored, notes = _references(store, event)
    judge, spec = _judge(Assembly(config), stored)
    samples = read_clip(path)
    segment = _decisive(event, path, samples, spec)
    if segment is None:
        segment = strangest(judge, _segments(samples, spec))
        notes += ("the clip does not hold what decided this event; its strangest segment is explained",)
    about = {key: event[key] for key in ("id", "kind", "stream", "time", "domain", "bank")} | {
        "event_score": event["score"],
        "clip": str(path),
    }
    title = f"{event['stream']} {event['time']}"
    return Case(event_id, title, judge, spec, segment, event["threshold"], about, notes)


def _anomaly_event(config: Config, event_id: str) -> dict[str, Any]:
    with JournalReader(config.state_path) as reader:
        event = reader.find(event_id)
    if event is None:
        raise UsageError(f"no event '{event_id}' in the journal", fix="`edged events` lists them with --jsonl")
    if event.get("monitor") != "anomaly" or event.get("bank") is None:
        raise UsageError(f"event {event_id} is no anomaly", fix="name an event of kind onset, update or cleared")
    return event


def _references(store: BankStore, event: dict[str, Any]) -> tuple[StoredBank, tuple[str, ...]]:
    """The version that decided, or the one in use with a note."""
    try:
        return store.load(event["stream"], "anomaly", event["bank"]), ()
    except StateError:
        active = store.load_active(event["stream"], "anomaly")
        if active is None:
            raise
        note = f"references version {event['bank']} are gone; explained by version {active.version}, which is in use"
        return active, (note,)


def _judge(assembly: Assembly, stored: StoredBank) -> tuple[Judge, AnomalySpec]:
    bundle = assembly.bundle(stored.stream, "anomaly")
    return Judge(bank_of_store(stored, bundle), assembly.embedder(bundle)), anomaly_spec(bundle)


def _threshold(assembly: Assembly, store: BankStore, stream: str, domain: str) -> float:
    """What the daemon would compare a segment nearest to a domain with, be it configured, found or the enrolment's."""
    monitor = assembly.monitor(store, stream, "anomaly")
    chosen = monitor.thresholds if isinstance(monitor, AnomalyMonitor) else None
    return math.nan if chosen is None else chosen.of(domain)


def _segments(samples: Float32Array, spec: AnomalySpec) -> Iterator[Segment]:
    """The segments of a recording one after the other: an hour of them would take gigabytes."""
    features = AnomalyFeatures(spec)
    for start in range(0, len(samples), spec.hop_samples):
        yield from features.push(Block(start, samples[start : start + spec.hop_samples]))
    yield from features.flush()


def _decisive(event: dict[str, Any], path: Path, samples: Float32Array, spec: AnomalySpec) -> Segment | None:
    """The event's own segment, cut from its clip; None if the clip does not say where it was heard, or lacks it."""
    origin = clip_origin(path)
    if origin is None or (origin.boot, origin.epoch) != (event["boot"], event["epoch"]):
        return None
    start, end = event["sample_start"] - origin.sample_start, event["sample_end"] - origin.sample_start
    if not 0 <= start < end <= min(len(samples), start + spec.segment_samples):
        return None
    own = samples[start:end]
    return Segment(start, end, segment_features(own, spec), samples=own)
