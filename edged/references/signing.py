"""Who made an archive of references: Ed25519 signatures. The only module that imports cryptography.

The device's own key is made on first use. Keys of its siblings are trusted when their public part lies in the state
directory's `trusted-signers/`, or is named for one import.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edged.errors import StateError, UsageError
from edged.files import give_to_owner

KEY_NAME = "signing.key"
TRUSTED_DIR_NAME = "trusted-signers"
SIGNATURE_BYTES = 64
_PREFIX = "edged-ed25519:"
_KEY_BYTES = 32
_MAX_TEXT_BYTES = 4096


class DeviceKey:
    """This device's signing key, made on first use with mode 0600.

    Raises:
        StateError: it cannot be read or written, or is damaged.
    """

    def __init__(self, state_dir: Path) -> None:
        path = state_dir / KEY_NAME
        try:
            secret = path.read_bytes() if path.exists() else _made(path)
            is_private = path.stat().st_mode & 0o077 == 0
        except OSError as error:
            raise StateError(f"{path}: {error.strerror}", fix="check owner and permissions") from error
        if len(secret) != _KEY_BYTES or not is_private:
            fix = f"chmod 600 {path}" if not is_private else "remove it: a new one is made, and siblings must trust it"
            raise StateError(f"{path}: {'others may read it' if not is_private else 'no signing key'}", fix=fix)
        self._key = Ed25519PrivateKey.from_private_bytes(secret)

    @property
    def public(self) -> str:
        """The public part as text, for siblings to trust."""
        return public_text(self._key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)


def public_text(raw: bytes) -> str:
    """A public key as one word.

    >>> public_text(bytes(32))
    'edged-ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='
    """
    return _PREFIX + base64.b64encode(raw).decode()


def parsed_public(text: str) -> str:
    """A public key given by a person, checked.

    Raises:
        UsageError: it is none.
    """
    word = text.strip()
    try:
        raw = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not word.startswith(_PREFIX) or len(raw) != _KEY_BYTES:
        fix = "`edged references signer` on the device that exported prints it"
        raise UsageError(f"'{word[:60]}' is no public signing key", fix=fix)
    return public_text(raw)


def given_signer(text_or_file: str) -> str:
    """The public key that `--signer` names: the word itself, or a file that holds it.

    Raises:
        UsageError: neither.
    """
    path = Path(text_or_file)
    if text_or_file.startswith(_PREFIX) or not path.is_file():
        return parsed_public(text_or_file)
    return parsed_public(_short_text(path))


def trusted_signers(state_dir: Path) -> frozenset[str]:
    """Public keys of this device and of the files in `trusted-signers/`.

    Raises:
        StateError: the device's key cannot be used.
        UsageError: a file there holds no key.
    """
    files = sorted((state_dir / TRUSTED_DIR_NAME).glob("*"))
    return frozenset({DeviceKey(state_dir).public, *(_key_in(path) for path in files)})


def _key_in(path: Path) -> str:
    try:
        return parsed_public(_short_text(path))
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", fix="keep nothing but public signing keys there") from error


def is_signed_by(signer: str, signature: bytes, message: bytes) -> bool:
    """Whether a public key's owner signed a message."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(parsed_public(signer).removeprefix(_PREFIX)))
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _short_text(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return handle.read(_MAX_TEXT_BYTES).decode("ascii", "replace")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", fix="name a file that holds a public key") from error


def _made(path: Path) -> bytes:
    """A new key, written whole or not at all; if another process was quicker, its key."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(Ed25519PrivateKey.generate().private_bytes_raw())
            handle.flush()
            os.fsync(handle.fileno())
        give_to_owner(unfinished)
        path.hardlink_to(unfinished)
    except FileExistsError:
        pass
    finally:
        unfinished.unlink(missing_ok=True)
    return path.read_bytes()
