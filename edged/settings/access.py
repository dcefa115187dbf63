"""Who may reach the daemon, and where."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import Field, field_validator

from edged.settings.base import Settings


class ControlSettings(Settings):
    """The socket commands come in on."""

    bind: str | None = Field(default=None, description="ZeroMQ endpoint, as for `events`")
    max_message_bytes: int = Field(default=1 << 20, ge=1024, le=1 << 28, description="larger requests are refused")
    max_transfer_mib: int = Field(
        default=1024, ge=1, le=1 << 20, description="clips and archives that clients send, all together, until used"
    )
    directories: list[Path] = Field(
        default_factory=list,
        description="directories below which requests may name clips and archives, beside the state's `incoming`; "
        "what lies elsewhere is sent over the socket, as `edged enroll` does",
    )

    @field_validator("directories")
    @classmethod
    def _absolute(cls, directories: list[Path]) -> list[Path]:
        if not all(directory.is_absolute() and ".." not in directory.parts for directory in directories):
            raise ValueError("must be absolute paths")
        return directories


class SecuritySettings(Settings):
    """CURVE; needed for every bind that other computers can reach."""

    server_secret_key: Path | None = Field(default=None, description="the daemon's CURVE key file, mode 0600")
    allowed_clients: Path | None = Field(
        default=None,
        description="directory of the public keys that may listen; those in its folder `control` may control too",
    )
    max_connections: int = Field(
        default=64, ge=4, le=4096, description="connections to a socket; remote ones beyond it are cut at once"
    )


class MetricsSettings(Settings):
    """The Prometheus endpoint."""

    enabled: bool = Field(default=False, description="serve metrics over HTTP")
    address: str = Field(default="127.0.0.1", description="address to bind")
    allow_remote: bool = Field(
        default=False, description="serve an address that other computers reach, in clear and without keys"
    )
    port: int = Field(default=9750, ge=1, le=65535, description="port to bind")


def is_loopback(host: str) -> bool:
    """Whether a host's name or address says that it is this computer.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("127.0.0.1"), is_loopback("broker.example")
    (True, True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def remote_endpoint(bind: str | None) -> str | None:
    """What is bound beside the local endpoint, if anything.

    >>> remote_endpoint("tcp://0.0.0.0:9751"), remote_endpoint("ipc:///run/other.sock"), remote_endpoint(None)
    ('tcp://0.0.0.0:9751', None, None)
    """
    return None if bind is None or bind.startswith("ipc://") else bind
