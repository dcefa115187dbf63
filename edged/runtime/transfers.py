"""Files on their way between a client and the daemon, piece by piece over the control socket.

    <state>/transfers/<transfer>/<number of the file>/<its name>

The daemon reads no path that a client chose, and writes to none: clips and archives come as bytes, are kept here while
they are used, and go again. It need not have the right to read the client's files, nor be on the same computer.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from edged.control.transfer import sendable_name
from edged.errors import EdgedError, EnrolmentError, StateError, UsageError
from edged.references.search import MAX_FILES, printable_name
from edged.security.paths import each_recording

TRANSFERS_DIR_NAME = "transfers"
MAX_TRANSFERS = 8
FORGOTTEN_AFTER_S = 600.0
MAX_NAME_BYTES = 240
_COPY_BYTES = 1 << 20
_MIB = 1 << 20

_T = TypeVar("_T")


@dataclass
class _Transfer:
    folder: Path
    touched_s: float
    files: list[Path] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    in_use: bool = False


class Transfers:
    """All of a daemon's; any thread may call.

    Args:
        state_dir: what an earlier life left there is removed.
        max_bytes: of all together.
        keep_free_bytes: so much of the disk stays free.
        now_s: monotonic seconds; replaced in tests.
    """

    def __init__(
        self, state_dir: Path, max_bytes: int, keep_free_bytes: int, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = state_dir / TRANSFERS_DIR_NAME
        self._max_bytes, self._keep_free_bytes, self._now_s = max_bytes, keep_free_bytes, now_s
        self._open: dict[str, _Transfer] = {}
        self._lock = threading.RLock()
        if self._folder.exists():
            shutil.rmtree(self._folder, ignore_errors=True)

    def begin(self) -> str:
        """A new transfer; its name cannot be guessed.

        Raises:
            UsageError: too many are under way.
            StateError: it cannot be made.
        """
        with self._lock:
            self.forget_old()
            if len(self._open) >= MAX_TRANSFERS:
                raise UsageError("too many transfers are under way", fix="try again later")
            name = secrets.token_hex(16)
            folder = self._folder / name
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.mkdir(mode=0o700)
            except OSError as error:
                raise _cannot_store(folder, error) from error
            self._open[name] = _Transfer(folder, self._now_s())
            return name

    def put(self, name: str, file: int, file_name: str, offset: int, data: bytes) -> int:
        """Add a piece: the next of the last file, or the first of a new one; the file's size now.

        Raises:
            UsageError: it does not fit what came before, or is too much.
            StateError: no room; the whole transfer is given up.
        """
        with self._lock:
            transfer = self._known(name)
            if file == len(transfer.files) and offset == 0 and file < MAX_FILES:
                transfer.files.append(transfer.folder / str(file) / _checked_name(file_name))
                transfer.sizes.append(0)
            elif not transfer.files or file != len(transfer.files) - 1 or offset != transfer.sizes[-1]:
                raise UsageError(f"transfer: piece {offset} of file {file} is not the next one")
            try:
                self._check_room(len(data))
                transfer.files[-1].parent.mkdir(mode=0o700, exist_ok=True)
                with transfer.files[-1].open("ab") as handle:
                    handle.write(data)
            except StateError:
                self.end(name)
                raise
            except OSError as error:
                self.end(name)
                raise _cannot_store(transfer.folder, error) from error
            transfer.sizes[-1] += len(data)
            return transfer.sizes[-1]

    def get(self, name: str, offset: int, length: int) -> tuple[bytes, int]:
        """A piece of a transfer's first file, and the file's size.

        Raises:
            UsageError: there is none.
            StateError: it cannot be read.
        """
        with self._lock:
            transfer = self._known(name)
            if not transfer.files:
                raise UsageError("transfer: holds no file")
            try:
                with transfer.files[0].open("rb") as handle:
                    handle.seek(min(offset, transfer.sizes[0]))
                    return handle.read(length), transfer.sizes[0]
            except OSError as error:
                raise _cannot_store(transfer.folder, error) from error

    def copy_named(self, name: str, directories: Sequence[Path], text: str) -> None:
        """Copy the file or directory that a peer named, if it lies below one of these directories.

        Raises:
            UsageError: it does not, is no recording, or is too much.
            StateError: no room; the whole transfer is given up.
        """

        def copy(file_name: str, descriptor: int) -> None:
            with self._lock:
                file = len(self._known(name).files)
            shown = sendable_name(file_name)
            offset = self.put(name, file, shown, 0, b"")
            while data := _next_piece(file_name, descriptor):
                offset = self.put(name, file, shown, offset, data)

        each_recording(directories, text, copy)

    def place(self, name: str, file_name: str) -> Path:
        """Where the daemon may write a transfer's only file, for `get`; call `placed` when it is there.

        Raises:
            StateError: no room.
        """
        with self._lock:
            path = self._known(name).folder / "0" / file_name
            try:
                path.parent.mkdir(mode=0o700)
            except OSError as error:
                raise _cannot_store(path.parent, error) from error
            return path

    def placed(self, name: str, path: Path) -> None:
        """The file is there."""
        with self._lock:
            transfer = self._known(name)
            transfer.files, transfer.sizes = [path], [path.stat().st_size]

    @contextmanager
    def used(self, name: str) -> Iterator[list[Path]]:
        """The files of a transfer, to be worked with; it is over afterwards.

        What is raised meanwhile names them as the client does.
        """
        with self._lock:
            transfer = self._known(name)
            transfer.in_use = True
        try:
            yield list(transfer.files)
        except EdgedError as error:
            error.message, error.fix = self.without_places(error.message), self.without_places(error.fix)
            if isinstance(error, EnrolmentError):
                error.report = self.without_places(error.report)
            raise
        finally:
            transfer.in_use = False
            self.end(name)

    def end(self, name: str) -> None:
        """Remove a transfer with all its files; nothing where there is none, or while it is used."""
        with self._lock:
            transfer = self._open.get(name)
            if transfer is not None and not transfer.in_use:
                del self._open[name]
                shutil.rmtree(transfer.folder, ignore_errors=True)

    def forget_old(self) -> None:
        """Remove transfers whose client has said nothing for long."""
        with self._lock:
            oldest_s = self._now_s() - FORGOTTEN_AFTER_S
            for name in [n for n, t in self._open.items() if t.touched_s < oldest_s and not t.in_use]:
                self.end(name)

    def without_places(self, value: _T) -> _T:
        """What is said to the client, with files by their own names and not by where they lie here."""
        shown: Any = value
        if isinstance(value, str):
            shown = re.sub(re.escape(f"{self._folder}/") + r"[0-9a-f]{32}/[0-9]+/", "", value)
        elif isinstance(value, dict):
            shown = {key: self.without_places(inner) for key, inner in value.items()}
        elif isinstance(value, list | tuple):
            shown = [self.without_places(inner) for inner in value]
        return cast("_T", shown)

    def _known(self, name: str) -> _Transfer:
        transfer = self._open.get(name)
        if transfer is None or transfer.in_use:
            raise UsageError("transfer: no such one", fix="it may have been too slow: begin again")
        transfer.touched_s = self._now_s()
        return transfer

    def _check_room(self, n_bytes: int) -> None:
        held = sum(sum(transfer.sizes) for transfer in self._open.values())
        if held + n_bytes > self._max_bytes:
            limit = f"control.max_transfer_mib is {self._max_bytes // _MIB}"
            raise UsageError(f"transfer: more than {self._max_bytes // _MIB} MiB", fix=f"{limit}; send fewer at a time")
        if shutil.disk_usage(self._folder).free < self._keep_free_bytes + n_bytes:
            raise StateError(f"{self._folder}: too little space", fix="free some; clips.keep_free_mib stays free")


def _next_piece(name: str, descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _COPY_BYTES)
    except OSError as error:
        reason = f"{printable_name(name)}: {error.strerror or error}"
        raise UsageError(reason, fix="copy it again; look at the disk it lies on") from error


def _checked_name(name: str) -> str:
    """A file name that leads nowhere.

    Raises:
        UsageError: it is none.
    """
    is_plain = name.isprintable() and "/" not in name and not name.startswith(".")
    if not name or not is_plain or len(name.encode()) > MAX_NAME_BYTES:
        raise UsageError(f"transfer: '{printable_name(name[:80])}' is no file name", fix="name it without directories")
    return name


def _cannot_store(path: Path, error: OSError) -> StateError:
    return StateError(f"{path}: {error.strerror or error}", fix="check its space, owner and permissions")
