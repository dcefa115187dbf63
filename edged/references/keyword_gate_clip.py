"""What one clip of a word sounds like: where the word is, whether it runs into the clip's edges, how far it stands out.

What cannot be a word (nothing heard, too short, too long) is a fault. That sound runs into an edge is none by itself: a
word cut out of running speech has its neighbours there. The other clips tell (`edged.references.keyword_gate`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edged.features.activity import frame_power_db, sound_span
from edged.flow import SAMPLE_RATE_HZ, Float32Array
from edged.references.gate_clip import Fault

MIN_WORD_S, MAX_WORD_S = 0.12, 3.0
EDGE_LEVEL_DB = -20.0
"""Below the word's peak: of words spoken alone 1 to 2 in 100 edges are louder, of words cut short nearly all."""
_EDGE_FRAMES, _EDGE_S = 3, 0.03


@dataclass(frozen=True)
class WordSound:
    """The sound of a clip.

    Attributes:
        first: sample at which the word begins; `last`: one past its end. Both 0 where nothing is heard.
        fault: why it can be no word; empty where it can. `reason`: in words, with what to do.
        begins_amid: loud sound runs into the beginning of the clip. `ends_amid`: into its end.
        range_db: between the quietest and the loudest tenth of it; little where the word drowns in its background.
    """

    first: int
    last: int
    fault: Fault = ""
    reason: str = ""
    begins_amid: bool = False
    ends_amid: bool = False
    range_db: float = 0.0


def word_sound(samples: Float32Array) -> WordSound:
    """Look at a clip, float32 (n_samples,) at 16 kHz.

    >>> tone = np.zeros(16_000, dtype=np.float32)
    >>> tone[8_000:] = 0.1
    >>> sound = word_sound(tone)
    >>> sound.first, sound.begins_amid, sound.ends_amid
    (7840, False, True)
    """
    span = sound_span(samples)
    if span is None:
        return WordSound(0, 0, "silent", "nothing is heard in it; record the word again, nearer or louder")
    first, last = span
    fault, reason = _fault((last - first) / SAMPLE_RATE_HZ)
    power_db = frame_power_db(samples)
    loud_db, edge_samples = float(power_db.max()) + EDGE_LEVEL_DB, round(_EDGE_S * SAMPLE_RATE_HZ)
    low_db, high_db = np.percentile(power_db, [10, 95])
    return WordSound(
        first, last, fault, reason,
        begins_amid=first <= edge_samples and float(power_db[:_EDGE_FRAMES].max()) > loud_db,
        ends_amid=len(samples) - last <= edge_samples and float(power_db[-_EDGE_FRAMES:].max()) > loud_db,
        range_db=float(high_db - low_db),
    )  # fmt: skip


def _fault(duration_s: float) -> tuple[Fault, str]:
    if duration_s < MIN_WORD_S:
        return "too short", f"{duration_s:.2f} s of sound are too short for a word; record it again"
    if duration_s > MAX_WORD_S:
        return "too long", f"{duration_s:.1f} s of sound are too long for a word; cut the word out of it"
    return "", ""
