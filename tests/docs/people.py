"""People for pages: they answer the prompts of a page's worker, so that its code runs to its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from askback import Client

Answer = tuple[str, dict[str, Any]]


@contextlib.asynccontextmanager
async def answering(**answers: Answer) -> AsyncIterator[list[str]]:
    """Answer prompts with these keys while the context is open; yield the list of keys answered until now.

    An answer is a decision and its arguments: `("RESPOND", {"values": "because"})`. A prompt that does not
    offer the decision stays open.
    """
    seen: list[str] = []

    async def answer_all() -> None:
        async for prompt in console.prompts():
            decision, arguments = answers.get(prompt.key, ("", {}))
            if decision in [option.decision for option in prompt.decisions]:
                seen.append(prompt.key)
                await prompt.decide(decision, **arguments)

    async with Client(user="ana", groups=["desk"]) as client, client.console() as console:
        task = asyncio.create_task(answer_all())
        try:
            yield seen
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def wait_for_prompt(key: str, server: str | None = None) -> None:
    """Wait until an open prompt has this key."""
    async with Client(server, user="ana", groups=["desk"]) as client:
        while key not in [prompt.key async for prompt in client.prompts()]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
