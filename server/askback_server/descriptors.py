"""Watches how many file descriptors the process has left: connections, database and files all need them.

Without one, gRPC leaves new connections in the kernel's queue and asks again each second, connections that
are open go on, and the database's pools refuse what they cannot open. So the process recovers by itself;
what is needed is that an operator is told, once, and in which unit to raise the limit.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sys

_log = logging.getLogger("askback.server")

EVERY = 1.0
"""Seconds between two looks."""
FULL, ROOMY = 0.9, 0.7
"""Shares of the limit in use: above the first it is said that they run out, below the second that they no
longer do."""

_FOLDER = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"


def raise_limit() -> None:
    """Take as many descriptors as the process may have: the soft limit is often 1,024, for old programs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            _log.debug("the limit of %d file descriptors stays: %s", soft, error)


def in_use() -> float:
    """The share of the limit that is in use; 1.0 if not even one is left to look with."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 0.0
    try:
        return len(os.listdir(_FOLDER)) / limit
    except OSError:
        return 1.0


async def watch() -> None:
    """Say once when descriptors run out, and once when there is room again, until cancelled."""
    short = False
    while True:
        share = in_use()
        if not short and share >= FULL:
            short = True
            _log.warning(
                "file descriptors run out (%d of %d in use): new connections wait; raise the limit "
                "(ulimit -n, LimitNOFILE=) or find out who opens so many connections",
                round(share * _limit()),
                _limit(),
            )
        elif short and share <= ROOMY:
            short = False
            _log.info("there are file descriptors again")
        await asyncio.sleep(EVERY)


def _limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
