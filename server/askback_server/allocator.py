"""How glibc's allocator treats large blocks: they are given back to the system when they are freed."""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
LARGE = 64 * 1024
"""Bytes from which a block is a mapping of its own."""
ARENAS = 2


def give_memory_back() -> None:
    """Keep the process as small as what it holds. Does nothing where the C library is not glibc.

    glibc raises the size from which a block is a mapping of its own to that of the largest block that was
    freed. Then a flood of large messages leaves heaps full of holes, which stay in memory when the
    messages are gone, and each thread of the transport has a heap of its own.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE)
        mallopt(_M_ARENA_MAX, ARENAS)
