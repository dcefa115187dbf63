"""The clients that may connect, and what each may do: public keys in a directory.

    allowed/press-panel.key             may listen: events, and the questions below
    allowed/control/maintenance.key     may control too

The place decides, not what a file says: its text may have come from the client.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from edged.errors import ConfigError
from edged.security.keys import PUBLIC_SUFFIX, read_public

Right = Literal["listen", "control"]

CONTROL_DIR_NAME = "control"
MAX_CLIENTS = 1000
LISTENER_VERBS = frozenset({"ping", "status", "score.tail", "events.replay", "references.show"})
"""Questions that change nothing: what a client may ask for that may only listen."""


@dataclass(frozen=True)
class Client:
    """A client on the list."""

    name: str
    right: Right
    path: Path


def read_allow_list(directory: Path) -> Mapping[bytes, Client]:
    """The clients of a directory by public key; a key that is in both places may control.

    Raises:
        ConfigError: the directory or a key file in it cannot be used; nobody is let in by half a list.
    """
    try:
        found = _clients_in(directory)
    except OSError as error:
        reason = f"security.allowed_clients: {error.filename or directory}: {error.strerror or error}"
        raise ConfigError(reason, fix="check its owner and permissions, and that no link leads nowhere") from error
    if len(found) > MAX_CLIENTS:
        raise ConfigError(f"{directory}: more than {MAX_CLIENTS} keys", fix="remove those that are not used")
    return MappingProxyType(found)


def _clients_in(directory: Path) -> dict[bytes, Client]:
    _check_directory(directory)
    found: dict[bytes, Client] = {}
    rights: tuple[tuple[Right, Path], ...] = (("listen", directory), ("control", directory / CONTROL_DIR_NAME))
    for right, folder in rights:
        for path in _key_files(folder):
            _check_writers(path, path.stat().st_mode)
            found[read_public(path)] = Client(path.name.removesuffix(PUBLIC_SUFFIX), right, path)
    return found


def _key_files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        _check_directory(folder)
        yield from sorted(path for path in folder.iterdir() if _is_key_name(path.name))


def _is_key_name(name: str) -> bool:
    return name.endswith(PUBLIC_SUFFIX) and not name.startswith(".")


def _check_directory(directory: Path) -> None:
    try:
        mode = directory.stat().st_mode
    except OSError as error:
        reason = f"security.allowed_clients: {directory}: {error.strerror}"
        raise ConfigError(reason, fix="`edged keys init` makes it") from error
    if not stat.S_ISDIR(mode):
        raise ConfigError(f"security.allowed_clients: {directory} is no directory", fix="`edged keys init` makes one")
    _check_writers(directory, mode)


def _check_writers(path: Path, mode: int) -> None:
    if mode & stat.S_IWOTH:
        raise ConfigError(f"security.allowed_clients: {path}: anybody may put keys there", fix=f"chmod o-w {path}")
