"""What a running stream has just heard, as clips to enrol."""

from __future__ import annotations

from edged.errors import EnrolmentError
from edged.flow import SAMPLE_RATE_HZ
from edged.references.clips import ANOMALY_CLIPS, Clip, clip_of_samples
from edged.runtime.stream import Stream

_CLIP_S = 10.0


def just_heard(stream: Stream, last_s: float) -> tuple[list[Clip], list[str]]:
    """The latest sound in clips of 10 s, and notes on what of it could not be used; from any thread.

    Raises:
        EnrolmentError: nothing long enough was heard, or nothing but silence.
    """
    length = round(_CLIP_S * SAMPLE_RATE_HZ)
    pieces = [
        (f"{stream.name}@{stretch.sample + at}", stretch.samples[at : at + length])
        for stretch in stream.ring.last(last_s)
        for at in range(0, len(stretch.samples) - length + 1, length)
    ]
    if not pieces:
        raise EnrolmentError(f"stream '{stream.name}': less than {_CLIP_S:g} s were heard without a gap")
    found: dict[str, Clip] = {}
    notes: list[str] = []
    for label, samples in pieces:
        try:
            clip = clip_of_samples(label, samples, ANOMALY_CLIPS)
        except EnrolmentError as error:
            notes.append(f"passed over: {error}")
            continue
        if clip.sha256 in found:  # a file that is played over and over
            notes.append(f"passed over: {label}: a copy of {found[clip.sha256].name}")
        found.setdefault(clip.sha256, clip)
    if not found:
        raise EnrolmentError(f"stream '{stream.name}': only silence was heard", fix="check the microphone")
    clips = list(found.values())
    heard_s = len(clips) * _CLIP_S
    if heard_s < last_s - _CLIP_S:
        notes.append(f"{heard_s:g} s of the {last_s:g} s asked for could be used")
    return clips, notes
