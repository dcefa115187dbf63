"""Event-based figures (Mesaros et al. 2016; thesis 2.10.3): onset and offset within a collar, each event once."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.evaluate.sound_events import Event, EventFigures, Judged, Recordings, event_figures, match

COLLAR_S = 0.25
OFFSET_SHARE = 0.5
"""Of a long event's length its offset may be off, if that is more than the collar."""


def event_based(
    estimated: Recordings, reference: Recordings, collar_s: float = COLLAR_S, offset_share: float = OFFSET_SHARE
) -> EventFigures:
    """Decisions per event, by the largest possible matching; a substitution agrees in time only.

    Args:
        estimated: file -> found events.
        reference: file -> true events, each file that counts.
        collar_s: tolerance of the onset, and least tolerance of the offset.
        offset_share: tolerance of the offset as a share of the true event's length.
    """

    def agree(found: Event, true: Event) -> bool:
        offset_collar_s = max(collar_s, offset_share * true.duration_s)
        onset_is_near = abs(found.onset_s - true.onset_s) <= collar_s
        return onset_is_near and abs(found.offset_s - true.offset_s) <= offset_collar_s

    def judge(found: Sequence[Event], true: Sequence[Event]) -> Judged:
        pairs = match(found, true, agree)
        found_right, true_found = {e for e, _ in pairs}, {r for _, r in pairs}
        wrong = [event for e, event in enumerate(found) if e not in found_right]
        return Judged(len(pairs), wrong, [event for r, event in enumerate(true) if r not in true_found])

    return event_figures(estimated, reference, judge, agree)
