"""Who may connect, and what they may ask for: CURVE keys, the allow-list, rights, and paths that are safe to open."""

from edged.security.endpoints import connectable, is_local
from edged.security.guard import SocketGuard

__all__ = ["SocketGuard", "connectable", "is_local"]
