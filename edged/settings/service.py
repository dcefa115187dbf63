"""How a daemon that crashes again and again is kept from doing so."""

from __future__ import annotations

from pydantic import Field

from edged.settings.base import Settings


class ServiceSettings(Settings):
    """When a daemon that crashes again and again starts in safe mode: it listens to nothing, and tells why."""

    crash_limit: int = Field(
        default=5, ge=1, le=1000, description="so many starts that did not last: the next one is in safe mode"
    )
    crash_window_s: float = Field(default=600.0, ge=1.0, le=86400.0, description="... within this long")
    stable_after_s: float = Field(
        default=120.0, ge=0.1, le=86400.0, description="a start that lasts this long was none of a crash loop"
    )
    safe_mode_s: float | None = Field(
        default=900.0,
        ge=1.0,
        le=604800.0,
        description="safe mode lasts this long, then the daemon tries again; empty = until somebody restarts it",
    )
