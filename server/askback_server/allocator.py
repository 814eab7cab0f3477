"""Configures glibc's allocator to return large blocks to the system when they are freed."""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
LARGE_BLOCK_BYTES = 64 * 1024
"""Size in bytes from which a block gets its own mapping."""
MAX_ARENAS = 2


def give_memory_back() -> None:
    """Return freed memory to the system. Does nothing if the C library is not glibc.

    By default glibc raises the size from which a block gets its own mapping to that of the largest freed
    block. A flood of large messages then leaves fragmented heaps, which stay in memory after the messages are
    freed, and each thread of gRPC has its own heap.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
        mallopt(_M_ARENA_MAX, MAX_ARENAS)
