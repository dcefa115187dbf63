"""The banks of a state directory, for commands that work on it directly."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `edged --help` loads none of it
    from edged.config import Config
    from edged.references.store import BankStore


def open_banks(config: Path | None, state: Path | None) -> AbstractContextManager[tuple[Config, BankStore]]:
    """The configuration, and the banks of its state directory.

    Raises:
        EdgedError: either cannot be used.
    """
    from edged.references.store import open_store

    return open_store(config, state)


def stream_name(settings: Config, store: BankStore, stream: str | None) -> str:
    """The named stream, or the only one there is.

    Raises:
        UsageError: none was named and there is not exactly one.
    """
    from edged.assembly import chosen_stream

    return chosen_stream(settings, store, stream)
