"""What every enrolment has in common, whatever is enrolled: how it is meant, names, clips that are enrolled already."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edged.errors import EnrolmentError
from edged.references.bank import ClipRecord
from edged.references.clips import Clip, ClipSet
from edged.references.search import printable_name

MAX_LABEL_CHARACTERS = 64
STREAM_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,47}"


@dataclass(frozen=True)
class Terms:
    """How an enrolment is meant.

    Attributes:
        dry_run: look and report, change nothing.
        force: enrol what is only doubtful.
        reason: for the history; empty = "enrolled DOMAIN".
    """

    dry_run: bool = False
    force: bool = False
    reason: str = ""


ORDINARY = Terms()


def check_stream(stream: str, *, is_known: bool) -> None:
    """Refuse to begin with a name that no configuration can hold.

    Raises:
        EnrolmentError: it is none.
    """
    if not is_known and not re.fullmatch(STREAM_NAME, stream):
        fix = "take 1 to 48 letters, digits, - and _, as in the configuration"
        raise EnrolmentError(f"'{printable_name(stream)}' cannot be the name of a stream", fix=fix)


def fresh_ones(enrolled: Sequence[ClipRecord], found: ClipSet) -> tuple[list[Clip], list[tuple[str, str]]]:
    """Clips that are not enrolled yet, and (name, name of what it is a copy of) of the others."""
    known: dict[str, ClipRecord] = {record.sha256: record for record in enrolled}
    fresh = [clip for clip in found.clips if clip.sha256 not in known]
    copies = [(clip.name, f"{known[clip.sha256].name} (enrolled)") for clip in found.clips if clip.sha256 in known]
    return fresh, [*found.copies, *copies]


def nothing_new(stream: str, enrolled: Sequence[ClipRecord], found: ClipSet) -> EnrolmentError:
    """The error that says what these clips are enrolled as already."""
    if not enrolled or not found.clips:
        return EnrolmentError("no clips to enrol")
    given = {clip.sha256 for clip in found.clips}
    labels = ", ".join(dict.fromkeys(f"'{record.label}'" for record in enrolled if record.sha256 in given))
    fix = "to enrol them as something else, undo that first with `edged references rollback`"
    return EnrolmentError(f"every one of these clips is enrolled already, as {labels} of stream '{stream}'", fix=fix)


def passed_over(copies: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """A line for every copy."""
    return tuple(f"{name}: passed over, the same recording as {first}" for name, first in copies)


def checked_label(text: str, what: str) -> str:
    """A domain or keyword without space around it; it goes into topics, events and logs.

    Raises:
        EnrolmentError: empty, too long, or with characters that cannot be shown.
    """
    label = text.strip()
    if not label or len(label) > MAX_LABEL_CHARACTERS or not label.isprintable():
        raise EnrolmentError(f"the {what} must have 1 to {MAX_LABEL_CHARACTERS} printable characters")
    return label
