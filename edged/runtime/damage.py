"""Verbs that find the state database damaged, and whether it is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edged.control.server import Verb
from edged.errors import DamagedError
from edged.salvage import is_damaged

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0


class DamageWatch:
    """Any thread may meet damage; who asks `found` looks.

    Nobody who asks for something can make the daemon begin anew where that would heal nothing.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._met = ""
        self._look_at_s = 0.0

    def watched(self, verbs: Mapping[str, Verb]) -> dict[str, Verb]:
        """The same verbs, noticed when they meet damage."""
        return {name: self._watched(verb) for name, verb in verbs.items()}

    def met(self, what: str) -> None:
        """From any thread that met damage."""
        self._met = what

    def found(self, now_s: float) -> str:
        """What is wrong with the database; empty while nobody has met damage, or there is none.

        Args:
            now_s: monotonic.
        """
        if not self._met or now_s < self._look_at_s:
            return ""
        self._look_at_s = now_s + LOOK_EVERY_S
        met, self._met = self._met, ""
        if is_damaged(self._state_dir):
            return met
        _log.error("%s; the database itself is whole", met)
        return ""

    def _watched(self, verb: Verb) -> Verb:
        def answer(args: dict[str, Any]) -> dict[str, Any]:
            try:
                return verb(args)
            except DamagedError as error:
                self.met(error.message)
                raise

        return answer
