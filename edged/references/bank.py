"""What banks have in common: facts about their clips, and the bundle they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from edged.embed.bundle import Bundle
from edged.errors import EnrolmentError, StateError
from edged.flow import Embedding, InputRange
from edged.references.clips import Clip

_VECTORS_OF_OLD = {
    "1e494af2e0b568e087c8fc4a8617dc181042e0ffd2d59d15214565903abc8ff9":  # edged-anomaly 1.1.0
        "a8c9053d1a3501a00d9cc82ee2db92d2a68672c7ea7bc39db91f8b2746391d48",
}  # fmt: skip
"""Digest of a bundle -> of its vectors, for banks that were made before banks remembered the latter."""


@dataclass(frozen=True)
class ClipRecord:
    """Where a reference came from.

    Attributes:
        label: its domain (anomaly) or its keyword.
        enrolled_at: RFC 3339 UTC.
        heard: what its samples were like, against which a deaf or hissing input is told; None where nobody looked.
        band_edge_hz: above this there is nothing in it; None where nobody looked.
        event: id of the event it was heard at; empty where it was none.
    """

    name: str
    sha256: str
    label: str
    duration_s: float
    enrolled_at: str
    heard: InputRange | None = None
    band_edge_hz: float | None = None
    event: str = ""


def record_of(clip: Clip, label: str, embeddings: Sequence[Embedding] = ()) -> ClipRecord:
    """The record of a clip enrolled now, and cut into these segments."""
    heard = InputRange.of(embedding.input for embedding in embeddings if embedding.input)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    duration_s = round(clip.duration_s, 3)
    return ClipRecord(clip.name, clip.sha256, label, duration_s, now, heard, clip.band_edge_hz, clip.event)


def fresh_clips(
    enrolled: Sequence[ClipRecord], clips: Sequence[tuple[Clip, Sequence[Embedding]]]
) -> list[tuple[Clip, Sequence[Embedding]]]:
    """Those of the embedded clips that are not enrolled yet.

    Raises:
        EnrolmentError: all of them are.
    """
    known = {record.sha256 for record in enrolled}
    fresh = [(clip, embeddings) for clip, embeddings in clips if clip.sha256 not in known]
    if not fresh:
        raise EnrolmentError("every one of these clips is enrolled already")
    return fresh


def bundle_facts(bundle: Bundle) -> dict[str, str]:
    """What a bank must remember of its bundle: embeddings of another model mean nothing to it."""
    return {"bundle": bundle.label, "bundle_digest": bundle.digest, "vectors_digest": bundle.vectors_digest}


def check_same_bundle(facts: Mapping[str, Any], bundle: Bundle, what: str) -> None:
    """Refuse references whose embeddings are not those of the bundle in use.

    A bundle that only scores, decides or describes itself differently serves what an earlier one embedded.

    Raises:
        StateError: the bank belongs to a bundle with another network or front end.
    """
    digest = facts.get("bundle_digest")
    vectors = facts.get("vectors_digest", _VECTORS_OF_OLD.get(str(digest)))
    if bundle.vectors_digest != vectors and bundle.digest != digest:
        raise StateError(
            f"{what}: enrolled with bundle {facts.get('bundle')}; the network or front end of {bundle.label}, which is "
            "in use, is another",
            fix="name the old bundle in the configuration, or forget this bank with `edged references remove` and "
            "enrol the clips again",
        )


def records_as_facts(records: tuple[ClipRecord, ...]) -> list[dict[str, Any]]:
    """Records as JSON-serialisable facts."""
    return [asdict(record) for record in records]


def records_of_facts(facts: Mapping[str, Any]) -> tuple[ClipRecord, ...]:
    """The reverse of `records_as_facts`."""
    return tuple(
        ClipRecord(**record | {"heard": InputRange(**heard) if (heard := record.get("heard")) else None})
        for record in facts["clips"]
    )
