"""The verbs by which clients send and fetch files, and how other verbs get at them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from edged.config import Config
from edged.control.client import MAX_REQUEST_BYTES
from edged.control.server import Verb
from edged.runtime.arguments import EndArgs, FetchArgs, NoArgs, PieceArgs, parsed
from edged.runtime.transfers import Transfers

INCOMING_DIR_NAME = "incoming"
"""Where local programs may put files that requests name: in the state directory."""
_ENVELOPE_BYTES = 768
"""What a request is besides the piece in it, at most."""
_MIB = 1 << 20


class Sending:
    """Files of clients: those that were sent, and those that lie where requests may name them."""

    def __init__(self, config: Config) -> None:
        control = config.control
        self._piece_bytes = (min(control.max_message_bytes, MAX_REQUEST_BYTES) - _ENVELOPE_BYTES) * 3 // 4
        self._directories = [config.state_path.absolute() / INCOMING_DIR_NAME, *control.directories]
        self._transfers = Transfers(
            config.state_path, control.max_transfer_mib * _MIB, config.clips.keep_free_mib * _MIB
        )  # fmt: skip

    @property
    def verbs(self) -> Mapping[str, Verb]:
        """Quick ones."""
        return {
            "transfer.begin": self.begin,
            "transfer.put": self.put,
            "transfer.get": self.get,
            "transfer.end": self.end,
        }

    def tidy(self) -> None:
        """Remove what was given up."""
        self._transfers.forget_old()

    def begin(self, args: dict[str, Any]) -> dict[str, Any]:
        """A new transfer."""
        parsed(NoArgs, args)
        return {"transfer": self._transfers.begin(), "piece_bytes": self._piece_bytes}

    def put(self, args: dict[str, Any]) -> dict[str, Any]:
        """Take a piece of a file."""
        piece = parsed(PieceArgs, args)
        return {"size": self._transfers.put(piece.transfer, piece.file, piece.name, piece.offset, piece.data)}

    def get(self, args: dict[str, Any]) -> dict[str, Any]:
        """Give a piece of a file."""
        wanted = parsed(FetchArgs, args)
        data, size = self._transfers.get(wanted.transfer, wanted.offset, self._piece_bytes)
        return {"data": base64.b64encode(data).decode(), "size": size}

    def end(self, args: dict[str, Any]) -> dict[str, Any]:
        """Forget a transfer."""
        self._transfers.end(parsed(EndArgs, args).transfer)
        return {}

    @contextmanager
    def files(self, transfer: str | None, named: Sequence[str]) -> Iterator[list[Path]]:
        """The files of a transfer, or copies of those that are named; gone afterwards.

        Raises:
            UsageError: there are none, or they may not be named.
        """
        name = self._transfers.begin() if transfer is None else transfer
        try:
            for text in named:
                self._transfers.copy_named(name, self._directories, text)
            with self._transfers.used(name) as paths:
                yield paths
        finally:
            self._transfers.end(name)

    @contextmanager
    def to_fetch(self, file_name: str) -> Iterator[tuple[str, Path]]:
        """A transfer, and where to write the file that the client will fetch by it."""
        name = self._transfers.begin()
        with ExitStack() as undone:
            undone.callback(self._transfers.end, name)
            path = self._transfers.place(name, file_name)
            yield name, path
            self._transfers.placed(name, path)
            undone.pop_all()

    def for_client(self, report: dict[str, Any]) -> dict[str, Any]:
        """A report that names files as the client does."""
        return self._transfers.without_places(report)
