"""The client's half of sending and fetching files over the control socket (`edged.runtime.transfers` is the other)."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edged.control.client import ControlClient
from edged.errors import EdgedError, UsageError
from edged.references.search import printable_name

_MAX_NAME_CHARACTERS = 60
_TIMEOUT_S = 60.0

Track = Callable[[Iterable[Any]], Iterable[Any]]


@contextmanager
def sent_files(client: ControlClient, paths: Iterable[Path], track: Track = iter) -> Iterator[str]:
    """The transfer that holds these files at the daemon; over afterwards.

    Raises:
        UsageError: a file cannot be read, or they are too much.
        EdgedError: what the daemon refused with.
    """
    begun = client.call("transfer.begin")
    name = str(begun["transfer"])
    try:
        for number, path in enumerate(track(paths)):
            for offset, data in _pieces(path, int(begun["piece_bytes"])):
                piece = {
                    "file": number,
                    "name": sendable_name(path.name),
                    "offset": offset,
                    "data": base64.b64encode(data).decode(),
                }
                client.call("transfer.put", {"transfer": name, **piece}, timeout_s=_TIMEOUT_S)
        yield name
    finally:
        with contextlib.suppress(EdgedError):  # it is over already, or the daemon is gone
            client.call("transfer.end", {"transfer": name})


def fetched_file(client: ControlClient, name: str) -> bytes:
    """The file of a transfer, which is over then.

    Raises:
        EdgedError: what the daemon refused with.
    """
    data = bytearray()
    try:
        while True:
            piece = client.call("transfer.get", {"transfer": name, "offset": len(data)}, timeout_s=_TIMEOUT_S)
            data += base64.b64decode(piece["data"])
            if len(data) >= piece["size"] or not piece["data"]:
                return bytes(data)
    finally:
        with contextlib.suppress(EdgedError):
            client.call("transfer.end", {"transfer": name})


def _pieces(path: Path, piece_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes; an empty file is one empty piece."""
    offset = 0
    try:
        with path.open("rb") as handle:
            while (data := handle.read(piece_bytes)) or not offset:
                yield offset, data
                offset += len(data)
                if not data:
                    return
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"{printable_name(str(path))}: {reason}", fix="check the path and its permissions") from error


def sendable_name(name: str) -> str:
    """A file's name as the daemon takes it: printable, not hidden, and cut where it is long, but for its suffix.

    >>> sendable_name("day 1.wav"), sendable_name(".a.wav"), len(sendable_name("x" * 200 + ".wav"))
    ('day 1.wav', '_.a.wav', 60)
    """
    shown = printable_name(name)
    if len(shown) > _MAX_NAME_CHARACTERS:
        suffix = Path(shown).suffix[-8:]
        shown = shown[: _MAX_NAME_CHARACTERS - len(suffix)] + suffix
    return f"_{shown}" if shown.startswith(".") else shown
