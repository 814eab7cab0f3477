"""gRPC does not survive a fork: a child may not use it while its parent had a channel open.

gunicorn with `--preload`, Celery's prefork pool and multiprocessing's `fork` start method all fork. A client
that was only made is fine, for it opens its channel when it is first used.
"""

from __future__ import annotations

import os
from weakref import WeakSet

import grpc

_open: WeakSet[grpc.aio.Channel] = WeakSet()
"""The channels of this process that were not closed."""
_inherited: list[grpc.aio.Channel] = []
"""Channels that were open at the fork. They are kept: to destroy one in the child may hang or abort it."""


def note_channel(channel: grpc.aio.Channel) -> grpc.aio.Channel:
    """Remember an open channel, and return it."""
    _open.add(channel)
    return channel


def forget_channel(channel: grpc.aio.Channel) -> None:
    """The channel was closed: a fork does no harm any more."""
    _open.discard(channel)


def check_process() -> None:
    """Raise RuntimeError in a process that was forked while a channel was open."""
    if _inherited:
        raise RuntimeError(
            f"process {os.getpid()} was forked while an askback client, worker or console of its parent was "
            "connected, and gRPC does not survive a fork: use the client only after the fork (gunicorn: "
            "in a post_fork hook or without --preload; Celery: in worker_process_init), close it before the "
            "fork, or start processes with 'spawn'"
        )


def _after_fork() -> None:
    _inherited.extend(_open)
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
