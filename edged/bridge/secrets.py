"""Secrets of the bridge: files that nobody else may read."""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path

from edged.config import MqttSettings
from edged.errors import ConfigError

_MAX_BYTES = 4096
_OTHERS = 0o077


def read_password(path: Path) -> str:
    """The first line of a file of mode 0600.

    Raises:
        ConfigError: it cannot be read, others may read it, or it holds no password.
    """
    check_private(path)
    try:
        with path.open("rb") as handle:
            text = handle.read(_MAX_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"mqtt.password_file: {path}: cannot be read ({error})", fix="write one line of text"
        ) from error
    password = text.split("\n", 1)[0].rstrip("\r")
    if not password or len(text) > _MAX_BYTES:
        raise ConfigError(f"mqtt.password_file: {path}: holds no password", fix="write the password as its first line")
    return password


def check_private(path: Path) -> None:
    """Refuse a secret that others can read.

    Raises:
        ConfigError: so it is, or it is no file.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - follows links, as whoever opens it
    except OSError as error:
        raise ConfigError(f"mqtt: {path}: {error.strerror}", fix="check the path, its owner and permissions") from error
    if not stat.S_ISREG(mode):
        raise ConfigError(f"mqtt: {path}: is no file", fix="name a regular file")
    if mode & _OTHERS:
        raise ConfigError(f"mqtt: {path}: others may read this secret", fix=f"chmod 600 {path}")


def tls_context(settings: MqttSettings) -> ssl.SSLContext | None:
    """How the broker is trusted: its certificate and name are always checked. None: no TLS.

    Raises:
        ConfigError: a certificate or key cannot be used.
    """
    if not settings.tls:
        return None
    if settings.key_file is not None:
        check_private(settings.key_file)
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.certificate is not None:
            context.load_cert_chain(settings.certificate, settings.key_file, password=_no_passphrase)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        fix = "mqtt.ca_file, certificate and key_file must be readable PEM files"
        raise ConfigError(f"mqtt: certificates cannot be used: {error}", fix=fix) from error
    return context


def _no_passphrase() -> str:
    """A key with a passphrase would ask the terminal."""
    raise ValueError("the private key has a passphrase, which nobody can enter")
