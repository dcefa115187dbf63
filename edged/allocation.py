"""Keeps freed memory for the next array instead of giving it back to the kernel at once.

The features of a block take a dozen arrays of some hundred kilobytes each that live for a millisecond. As the C library
comes, each is mapped, filled with zeros and unmapped again; to keep them takes a third of the time, and some megabytes.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_MAPPED_FROM_BYTES = 8 << 20
_KEPT_BYTES = 16 << 20


def keep_freed_memory() -> bool:
    """Have the C library keep up to 16 MiB of what is freed; whether it can (glibc can, musl cannot)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(
        mallopt(which, n) == 1 for which, n in ((_MMAP_THRESHOLD, _MAPPED_FROM_BYTES), (_TRIM_THRESHOLD, _KEPT_BYTES))
    )
