"""A page of past events for somebody who was away: from the journal, and from what still waits for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edged.events.journal import MAX_REPLAY_EVENTS, JournalReader, parse_time_ns
from edged.events.schema import Journalled


def replay(
    state_dir: Path,
    *,
    after: int = 0,
    before: int | None = None,
    since: str | None = None,
    topics: Sequence[str] = ("",),
    limit: int = MAX_REPLAY_EVENTS,
    waiting: Callable[[], list[Journalled]] = list,
) -> dict[str, Any]:
    """Events numbered above ``after`` (and below ``before``), oldest first, as the control socket answers.

    Args:
        since: RFC 3339; begin with the first event that is stamped at or after it, if that is later.
        waiting: what was published and is not in the journal yet.

    Returns:
        ``events``; ``next``: the number to ask on after, null = that was all; ``missing``: how many numbers of what was
        looked at nobody holds any more, whatever their topic; ``journal``: identity of the numbering; ``last_seq``:
        the newest number.

    Raises:
        UsageError: ``since`` is no time.
        StateError: the journal cannot be read.
    """
    unstored = waiting()  # before the journal is read: what is stored in between is then found twice, never not at all
    with JournalReader(state_dir) as reader:
        if since is not None:
            after = max(after, reader.before_time(parse_time_ns(since)))
        page = reader.page(after, before=before, topics=topics, limit=limit)
    events, next_after, missing = page.events, page.next_after, page.missing
    newest = max([page.last_seq, *(event.seq for event in unstored[-1:])])
    if next_after is None:
        start, end = max(after, page.last_seq), newest + 1 if before is None else min(before, newest + 1)
        rest = [event for event in unstored if start < event.seq < end]
        matching = [event for event in rest if event.topic.startswith(tuple(topics))]
        room = limit - len(events)
        events += [event.fields() for event in matching[:room]]
        if len(matching) > room:
            next_after = events[-1]["seq"] if events else after
        elif rest:
            missing += max(0, end - start - 1 - len(rest))
    return {
        "events": events, "next": next_after, "missing": missing, "journal": page.identity, "last_seq": newest,
    }  # fmt: skip
