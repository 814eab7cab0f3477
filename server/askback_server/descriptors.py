"""Warns when the process runs out of file descriptors, which connections, database and files all need.

Without free descriptors gRPC leaves new connections in the kernel's queue and retries each second, open
connections continue, and the database pools fail to connect. The process recovers on its own, so one warning
is enough: it tells the operator which limit to raise.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sys

_log = logging.getLogger("askback.server")

INTERVAL_SECONDS = 1.0
"""Seconds between two checks."""
FULL, ROOMY = 0.9, 0.7
"""Shares of the limit: warn at the first, and report recovery at the second."""

_FOLDER = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"


def raise_limit() -> None:
    """Raise the soft limit, often 1,024, to the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            _log.debug("the limit of %d file descriptors stays: %s", soft, error)


def in_use() -> float:
    """The share of the limit in use; 1.0 if no descriptor is left for the check."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 0.0
    try:
        return len(os.listdir(_FOLDER)) / limit
    except OSError:
        return 1.0


async def watch() -> None:
    """Log once when descriptors run out, and once when there are enough again, until cancelled."""
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
            _log.info("enough file descriptors are free again")
        await asyncio.sleep(INTERVAL_SECONDS)


def _limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
