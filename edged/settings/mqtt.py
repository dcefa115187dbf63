"""The MQTT bridge."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from edged.settings.access import is_loopback
from edged.settings.base import Name, Settings


class MqttSettings(Settings):
    """The MQTT broker that `edged bridge mqtt` tells; the daemon itself does not use it."""

    host: str | None = Field(default=None, min_length=1, max_length=253, description="the broker; empty = no bridge")
    port: int = Field(default=8883, ge=1, le=65535, description="its port; 8883 with TLS, 1883 without")
    tls: bool = Field(default=True, description="talk TLS, and check the broker's certificate and name")
    allow_clear: bool = Field(default=False, description="without TLS, talk to a broker on another computer in clear")
    ca_file: Path | None = Field(
        default=None, description="certificates (PEM) that the broker's must come from; empty = the system's"
    )
    certificate: Path | None = Field(default=None, description="the bridge's own certificate (PEM), if the broker asks")
    key_file: Path | None = Field(default=None, description="its private key (PEM), mode 0600")
    user: str | None = Field(default=None, min_length=1, description="user name at the broker")
    password_file: Path | None = Field(default=None, description="file with the password, mode 0600")
    device: Name | None = Field(
        default=None, description="name of this device in topics, unique at the broker; empty = the host name"
    )
    topic_prefix: str = Field(
        default="edged", pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,7}$", description="what all topics begin with"
    )
    discovery_prefix: str | None = Field(
        default="homeassistant",
        pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,7}$",
        description="where Home Assistant looks for devices; empty = no discovery",
    )
    scores_every_s: float = Field(
        default=60.0, ge=0.0, le=86400.0, description="a stream's score is sent this often at most; 0 = never"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> MqttSettings:
        if (self.certificate is None) != (self.key_file is None):
            raise ValueError("certificate and key_file belong together: give both or none")
        if self.password_file is not None and self.user is None:
            raise ValueError("password_file needs a user")
        if not self.tls and (self.ca_file or self.certificate):
            raise ValueError("ca_file and certificate are for TLS, which is off: remove them, or set tls: true")
        if self.host is not None and not (self.tls or self.allow_clear or is_loopback(self.host)):
            raise ValueError(f"events would go to {self.host[:60]} in clear: keep tls: true, or set allow_clear")
        return self
