"""gRPC does not survive a fork: a child must not use it if its parent had a channel open.

gunicorn with `--preload`, Celery's prefork pool and multiprocessing's `fork` start method all fork. A client
that has not been used yet is safe, because it opens its channel on first use.
"""

from __future__ import annotations

import gc
import os
import threading
from weakref import WeakSet

import grpc

_open: WeakSet[grpc.aio.Channel] = WeakSet()
"""The open channels of this process."""
_inherited: list[grpc.aio.Channel] = []
"""Channels that were open at the fork. Keep them: destroying one in the child may hang or abort it."""
_used = False
"""Whether this process ever opened a channel."""
_in_use = False
"""Whether gRPC was in use at the last fork of this process, or at the fork that created it."""
_unusable = False
"""Whether this process is the child of such a fork."""


def note_channel(channel: grpc.aio.Channel) -> grpc.aio.Channel:
    """Register an open channel, and return it."""
    global _used
    _used = True
    _open.add(channel)
    return channel


def forget_channel(channel: grpc.aio.Channel) -> None:
    """Unregister a closed channel: a fork is safe again."""
    _open.discard(channel)


def check_process() -> None:
    """Raise RuntimeError in a process whose parent used gRPC at the fork."""
    if _unusable:
        raise RuntimeError(
            f"process {os.getpid()} was forked while an askback client, worker or console of its parent was "
            "connected, and gRPC does not survive a fork: use the client only after the fork (gunicorn: "
            "in a post_fork hook or without --preload; Celery: in worker_process_init), close it before the "
            "fork, or start processes with 'spawn'"
        )


def _is_polling() -> bool:
    """Whether grpc.aio's polling thread runs, as it does while any channel or server of grpc.aio exists.

    gRPC's own fork handlers do nothing in that case, and the child hangs at its first call.
    """
    targets = (getattr(thread, "_target", None) for thread in threading.enumerate())
    return any(type(getattr(t, "__self__", None)).__name__ == "PollerCompletionQueue" for t in targets)


def _before_fork() -> None:
    global _in_use
    if not _open and _is_polling():
        gc.collect()  # a closed channel in a reference cycle keeps the thread alive
    # Without gRPC's own fork handlers the child lacks gRPC's threads, even if all channels were closed.
    bare = _used and os.environ.get("GRPC_ENABLE_FORK_SUPPORT") in ("0", "false")
    _in_use = bool(_open) or _is_polling() or bare


def _after_fork() -> None:
    global _unusable
    _unusable = _unusable or _in_use
    _inherited.extend(_open)
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
