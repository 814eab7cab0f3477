"""A coroutine that does something again and again, survives errors, and stops when cancelled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from askback_server.domain.errors import StorageUnavailable

_log = logging.getLogger("askback.server.engine")


async def every(interval: float, work: Callable[[], Awaitable[object]], name: str) -> None:
    """Do `work` at once and then every `interval` seconds, counted from its end.

    An error is logged and the next turn comes; cancelling the task ends it.
    """
    while True:
        try:
            await work()
        except StorageUnavailable as error:
            _log.warning("%s: %s", name, error)
        except Exception:
            _log.exception("%s failed; next try in %g s", name, interval)
        await asyncio.sleep(interval)
