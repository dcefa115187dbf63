"""The sound of past events, as clips: what was said to be an anomaly can be enrolled, or kept as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edged.errors import EnrolmentError, UsageError
from edged.events.clips import event_clip
from edged.events.journal import JournalReader
from edged.references.clips import ANOMALY_CLIPS, Clip, ClipSet, RefusedClip, examined


@dataclass(frozen=True)
class PastSound:
    """What was heard at events of one stream.

    Attributes:
        stream: they were on.
        clips: their sound; every clip knows its event.
    """

    stream: str
    clips: ClipSet


def past_sound(state_dir: Path, event_ids: Sequence[str], stream: str | None = None) -> PastSound:
    """The saved clips of anomaly events.

    Args:
        stream: they must be of; None = that of the first.

    Raises:
        UsageError: an event is of another monitor, or of another stream.
        EnrolmentError: an event is unknown, or no sound of it was kept.
        StateError: the journal cannot be read.
    """
    with JournalReader(state_dir) as reader:
        events = [_known(reader, event_id) for event_id in dict.fromkeys(event_ids)]
    of_stream = stream if stream is not None else str(events[0]["stream"])
    sets = [_sound(state_dir, event, of_stream) for event in events]
    first: dict[str, Clip] = {}
    copies = [clip for one in sets for clip in one.clips if first.setdefault(clip.sha256, clip) is not clip]
    refused = tuple(clip for one in sets for clip in one.refused)
    named = tuple((clip.name, first[clip.sha256].name) for clip in copies)
    return PastSound(of_stream, ClipSet(tuple(first.values()), refused, named))


def _known(reader: JournalReader, event_id: str) -> dict[str, Any]:
    event = reader.find(event_id)
    if event is None:
        raise EnrolmentError(f"no event '{event_id[:100]}' in the journal", fix="`edged events` lists them")
    return event


def _sound(state_dir: Path, event: dict[str, Any], stream: str) -> ClipSet:
    event_id = str(event["id"])
    if event.get("monitor") != "anomaly":
        raise UsageError(f"event {event_id} is no anomaly but of the {event.get('monitor') or 'daemon'}")
    if event["stream"] != stream:
        raise UsageError(f"event {event_id} is of stream '{event['stream']}', not of '{stream}'")
    path = event_clip(state_dir, event_id)
    if path is None:
        fix = "it is kept for events with `clips.anomaly: true`, some seconds after their end, until it is old"
        raise EnrolmentError(f"event {event_id}: no sound of it is kept", fix=fix)
    found = examined([path], ANOMALY_CLIPS)
    return ClipSet(
        tuple(replace(clip, name=f"event {event_id}", event=event_id) for clip in found.clips),
        tuple(RefusedClip(f"event {event_id}", clip.fault, clip.reason) for clip in found.refused),
    )
