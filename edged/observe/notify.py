"""Telling systemd how we are: the sd_notify protocol without a library."""

from __future__ import annotations

import os
import socket

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


def notify(*states: str) -> bool:
    """Send states to the service manager; whether there is one that took them."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto("\n".join(states).encode(), address)
        except OSError:  # the manager is gone or busy: it will notice by itself
            return False
    return True


def has_manager() -> bool:
    """Whether a service manager started us, and will again."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def watchdog_limit(seconds: float | None = None) -> tuple[str, ...]:
    """The state that sets how long systemd waits to hear from us; empty where it does not.

    Args:
        seconds: None = what the unit says.
    """
    interval_s = watchdog_interval_s()
    if interval_s is None:
        return ()
    return (f"WATCHDOG_USEC={round(1e6 * (2.0 * interval_s if seconds is None else seconds))}",)


def watchdog_interval_s() -> float | None:
    """How often systemd wants to hear from us at the least, if it does; half of its limit."""
    limit_us = os.environ.get("WATCHDOG_USEC", "")
    wanted_pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not limit_us.isdigit() or wanted_pid != str(os.getpid()):
        return None
    return int(limit_us) / 2e6
