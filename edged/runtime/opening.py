"""The state database at the start of a life: whole, and openable on a full disk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from edged.errors import StateError
from edged.references.store import BankStore
from edged.reserve import give_up
from edged.runtime.messages import StatusChange
from edged.salvage import Salvage, salvage_if_damaged

_log = logging.getLogger(__name__)

_DAEMON = "edged"

_T = TypeVar("_T")


def open_state(state_dir: Path, now_ns: int) -> Salvage | None:
    """Make the state database what it is to be; what became of it, if it was damaged.

    Raises:
        StateError: it cannot be opened, or there is no room to salvage it.
    """
    salvaged = _done(state_dir, lambda: salvage_if_damaged(state_dir, now_ns))
    _done(state_dir, lambda: BankStore(state_dir).close())
    return salvaged


def changes_of(salvaged: Salvage | None, streams: Iterable[str]) -> list[StatusChange]:
    """What there is to tell of a state database that was damaged."""
    if salvaged is None:
        return []
    lost = [(name, "all") for name in streams] if salvaged.is_total else salvaged.lost_banks
    banks = [StatusChange(name, "bank", "lost", f"{monitor} references: enrol again") for name, monitor in lost]
    return [StatusChange(_DAEMON, "state", "salvaged", str(salvaged)), *banks]


def _done(state_dir: Path, step: Callable[[], _T]) -> _T:
    """A step; where it finds no room, once more with the reserve's."""
    try:
        return step()
    except StateError as error:
        if not give_up(state_dir):
            raise
        _log.warning("%s: the reserve is used", error)
        return step()
