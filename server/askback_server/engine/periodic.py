"""Repeats a coroutine until cancelled, and survives its errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from askback_server.domain.errors import StorageUnavailable

_log = logging.getLogger("askback.server.engine")


async def every(interval: float, work: Callable[[], Awaitable[object]], name: str) -> None:
    """Run `work` at once, and again `interval` seconds after each end.

    Errors are logged and do not end the loop; cancelling the task does.
    """
    while True:
        try:
            await work()
        except StorageUnavailable as error:
            _log.warning("%s: %s", name, error)
        except Exception:
            _log.exception("%s failed; next try in %g s", name, interval)
        await asyncio.sleep(interval)
