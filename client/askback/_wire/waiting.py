"""Waits for the first of several awaitables."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any


async def end_of(future: asyncio.Future[Any]) -> None:
    """Wait until a future is done, without raising its exception."""
    await asyncio.wait((future,))


async def first_of(*waits: Awaitable[Any]) -> None:
    """Wait until one of them is done, and cancel the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
