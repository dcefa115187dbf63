"""CURVE key files, read with bounds and written whole and private.

    curve
        public-key = "40 characters of Z85"
        secret-key = "40 more, in secret files only"

It is the format that ZeroMQ's own tools write and read.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import zmq
from zmq.utils import z85

from edged.errors import ConfigError

SECRET_SUFFIX, PUBLIC_SUFFIX = ".key_secret", ".key"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
KEY_CHARACTERS = 40
_MAX_FILE_BYTES = 4096
_OTHERS_MAY_READ = 0o077
_LINE = re.compile(rb"""^\s*(public|secret)-key\s*=\s*["']?([^"'\s]+)["']?\s*$""", re.MULTILINE)
_FIX = "`edged keys` makes key files"


@dataclass(frozen=True)
class KeyPair:
    """A CURVE key pair, both halves as 40 characters of Z85."""

    public: bytes
    secret: bytes

    def __repr__(self) -> str:  # never the secret, whatever prints this
        return f"KeyPair({self.public.decode()})"


def new_pair() -> KeyPair:
    """A new pair, from the system's random numbers."""
    return KeyPair(*zmq.curve_keypair())


def is_key(text: bytes) -> bool:
    """Whether this is one half of a pair.

    >>> is_key(b"x" * 40), is_key(b"x" * 39), is_key(b" " * 40), is_key(b"#" * 40)
    (True, False, False, False)
    """
    try:
        return len(text) == KEY_CHARACTERS and z85.encode(z85.decode(text)) == text
    except (KeyError, ValueError, struct.error):
        return False


def read_public(path: Path) -> bytes:
    """The public key of a key file.

    Raises:
        ConfigError: it cannot be read, or holds none.
    """
    return _keys_in(path)["public"]


def read_pair(path: Path) -> KeyPair:
    """Both halves of a key file that nobody else may read.

    Raises:
        ConfigError: it cannot be read, others may read it, or it holds no pair.
    """
    keys = _keys_in(path, is_secret=True)
    if "secret" not in keys:
        raise ConfigError(f"{path}: holds no secret key", fix=f"name the file that ends in {SECRET_SUFFIX}")
    if zmq.curve_public(keys["secret"]) != keys["public"]:
        raise ConfigError(f"{path}: its public key does not belong to its secret key", fix=_FIX)
    return KeyPair(keys["public"], keys["secret"])


def write_public(path: Path, public: bytes) -> None:
    """Write a public key, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    _write(path, f'#   edged: public CURVE key\ncurve\n    public-key = "{public.decode()}"\n', 0o644)


def write_pair(path: Path, pair: KeyPair) -> None:
    """Write a secret key file: mode 0600 from its first byte, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    head = "#   edged: SECRET CURVE key. Give it to nobody but the program it is for.\n"
    body = f'curve\n    public-key = "{pair.public.decode()}"\n    secret-key = "{pair.secret.decode()}"\n'
    _write(path, head + body, 0o600)


def _keys_in(path: Path, *, is_secret: bool = False) -> dict[str, bytes]:
    try:
        with open(path, "rb", opener=_without_waiting) as handle:
            mode = os.fstat(handle.fileno()).st_mode
            if is_secret and mode & _OTHERS_MAY_READ:
                raise ConfigError(f"{path}: others may read this secret key", fix=f"chmod 600 {path}")
            data = handle.read(_MAX_FILE_BYTES + 1) or b""
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: is not there", fix=_FIX) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: cannot be read ({reason})", fix="check its owner and permissions") from error
    keys = {which.decode(): key for which, key in _LINE.findall(data) if is_key(key)}
    if len(data) > _MAX_FILE_BYTES or "public" not in keys:
        raise ConfigError(f"{path}: not a key file", fix=_FIX)
    return keys


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _write(path: Path, text: str, mode: int) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    owner = path.parent.stat()
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as handle:
            os.fchmod(handle.fileno(), mode)  # whatever the umask took away
            if os.geteuid() == 0:  # root makes keys for the daemon's user
                os.fchown(handle.fileno(), owner.st_uid, owner.st_gid)
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        unfinished.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            unfinished.unlink()
