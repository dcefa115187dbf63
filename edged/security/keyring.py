"""The daemon's keys and its list of clients as one directory, which `edged keys` keeps.

server.key_secret            the daemon's pair
server.key                   its public half, for clients
allowed/NAME.key             may listen
allowed/control/NAME.key     may control too
clients/NAME.key_secret      to be given to the client, and then removed here
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edged.errors import ConfigError, UsageError
from edged.security.allowlist import CONTROL_DIR_NAME, Client, Right, read_allow_list
from edged.security.keys import (
    NAME,
    PUBLIC_SUFFIX,
    SECRET_SUFFIX,
    is_key,
    new_pair,
    read_pair,
    read_public,
    write_pair,
    write_public,
)

_SERVER = "server"


@dataclass(frozen=True)
class Added:
    """A client that was let in; without a secret file where it brought its own public key, or had one already."""

    client: Client
    public: str
    secret_file: Path | None


class Keyring:
    """Keys below one directory.

    Args:
        allowed: where the list is, if not in the folder `allowed`.
        server: the daemon's secret key file, if not there.
    """

    def __init__(self, directory: Path, *, server: Path | None = None, allowed: Path | None = None) -> None:
        self.directory = directory
        self.server_secret = server or directory / f"{_SERVER}{SECRET_SUFFIX}"
        self.allowed = allowed or directory / "allowed"
        self._clients = directory / "clients"

    @property
    def server_public(self) -> Path:
        """The file that clients need."""
        return self.server_secret.with_name(f"{_SERVER}{PUBLIC_SUFFIX}")

    def init(self, *, force: bool) -> bool:
        """Make the daemon's pair and an empty list; whether the pair is new.

        Args:
            force: replace a pair that is there: every client then needs the new public key.

        Raises:
            ConfigError: it cannot be written, or the pair that is there is damaged.
        """
        with _reaching(self.directory):
            for folder in (self.directory, self.allowed, self.allowed / CONTROL_DIR_NAME):
                _make_folder(folder)
            is_new = force or not self.server_secret.exists()
            if is_new:
                write_pair(self.server_secret, new_pair())
            write_public(self.server_public, read_pair(self.server_secret).public)
        return is_new

    def add(self, name: str, right: Right, *, public: str | None = None, force: bool = False) -> Added:
        """Let a client in, or change what one may do, which keeps its key.

        Args:
            public: its own public key, or a file with it; None = make a pair for it.
            force: replace the key of a client of this name.

        Raises:
            UsageError: the name is taken, or is none.
            ConfigError: something cannot be read or written.
        """
        self._check_made()
        if not re.fullmatch(NAME, name):
            raise UsageError(f"'{name[:80]}': no name for a client", fix="take letters, digits, . - and _")
        secret_file = self._clients / f"{name}{SECRET_SUFFIX}"
        places = self._places_of(name)
        if places and public is None and not force and self._right_at(places[-1]) != right:
            return Added(*self._placed(name, right, read_public(places[-1])), None)
        if not force and (places or (public is None and secret_file.exists())):
            raise UsageError(f"there is a client '{name}' already", fix="take another name; --force replaces its key")
        with _reaching(self.directory):
            key = self._given_key(name, public) if public is not None else self._made_pair(secret_file)
        return Added(*self._placed(name, right, key), None if public is not None else secret_file)

    def remove(self, name: str) -> None:
        """Shut a client out, and remove its secret key if it is still here.

        Raises:
            UsageError: there is none of this name.
            ConfigError: it cannot be removed.
        """
        places = self._places_of(name) if re.fullmatch(NAME, name) else []
        if not places:
            raise UsageError(f"there is no client '{name[:80]}'", fix="`edged keys list` shows them")
        with _reaching(self.directory):
            for place in places:
                place.unlink()
            (self._clients / f"{name}{SECRET_SUFFIX}").unlink(missing_ok=True)

    def clients(self) -> list[tuple[Client, str]]:
        """Every client and its public key, by name.

        Raises:
            ConfigError: the list cannot be read.
        """
        self._check_made()
        found = read_allow_list(self.allowed)
        return sorted(((client, key.decode()) for key, client in found.items()), key=lambda one: one[0].name)

    def public(self) -> str:
        """The daemon's public key.

        Raises:
            ConfigError: there is none.
        """
        self._check_made()
        return read_pair(self.server_secret).public.decode()

    def _check_made(self) -> None:
        with _reaching(self.directory):
            is_made = self.server_secret.exists() and self.allowed.is_dir()
        if not is_made:
            raise ConfigError(f"{self.directory}: holds no keys yet", fix="`edged keys init` makes them")

    def _given_key(self, name: str, text: str) -> bytes:
        key = _key_of(text)
        for client, known in self.clients():
            if known.encode() == key and client.name != name:
                raise UsageError(f"that key is '{client.name}' already", fix="one key is one client")
        return key

    def _made_pair(self, secret_file: Path) -> bytes:
        _make_folder(self._clients, mode=0o700)
        pair = new_pair()
        write_pair(secret_file, pair)
        return pair.public

    def _placed(self, name: str, right: Right, key: bytes) -> tuple[Client, str]:
        """A client with this key and right, and no other."""
        with _reaching(self.directory):
            folder = self.allowed / CONTROL_DIR_NAME if right == "control" else self.allowed
            _make_folder(folder)
            path = folder / f"{name}{PUBLIC_SUFFIX}"
            write_public(path, key)
            for other in self._places_of(name):
                if other != path:
                    other.unlink()
        return Client(name, right, path), key.decode()

    def _right_at(self, place: Path) -> Right:
        return "control" if place.parent == self.allowed / CONTROL_DIR_NAME else "listen"

    def _places_of(self, name: str) -> list[Path]:
        """Where its key lies; the place that counts is the last."""
        folders = (self.allowed, self.allowed / CONTROL_DIR_NAME)
        with _reaching(self.directory):
            return [path for folder in folders if (path := folder / f"{name}{PUBLIC_SUFFIX}").exists()]


def _key_of(text: str) -> bytes:
    if is_key(text.encode()):
        return text.encode()
    path = Path(text)
    if not path.is_file():
        raise UsageError(f"'{text[:80]}' is no public CURVE key, and no file", fix="name the client's .key file")
    return read_public(path)


def _make_folder(folder: Path, mode: int = 0o750) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, mode=mode)
        if os.geteuid() == 0:  # what root makes is for whom the place belongs to
            owner = folder.parent.stat()
            os.chown(folder, owner.st_uid, owner.st_gid)
    elif folder.stat().st_mode & stat.S_IWOTH:
        raise ConfigError(f"{folder}: anybody may put keys into it", fix=f"chmod o-w {folder}")


@contextmanager
def _reaching(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        path = error.filename or directory
        raise ConfigError(
            f"{path}: {error.strerror or error}", fix="check owner and permissions, or use sudo"
        ) from error
