"""Waiting until a condition holds."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable

WITHIN = 30.0
"""Seconds after which a wait fails. Generous: never a measure of speed."""


async def until(condition: Callable[[], object], what: str = "the condition holds") -> None:
    """Poll until `condition`, awaited if need be, returns a true value. Raises AssertionError."""
    end = time.monotonic() + WITHIN
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return
        assert time.monotonic() < end, f"not in {WITHIN:g} s: {what}"
        await asyncio.sleep(0.005)
