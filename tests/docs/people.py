"""People for pages: they answer what a page's worker asks, so that its code really runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from askback import Client

Said = tuple[str, dict[str, Any]]


@contextlib.asynccontextmanager
async def answering(**answers: Said) -> AsyncIterator[list[str]]:
    """While it is open, prompts with these keys are answered; yields the keys as they are answered.

    An answer is a decision and what goes with it: `("RESPOND", {"values": "because"})`. A prompt that
    does not offer the decision is left alone.
    """
    seen: list[str] = []

    async def answer_all() -> None:
        async for prompt in desk.prompts():
            decision, said = answers.get(prompt.key, ("", {}))
            if decision in [option.decision for option in prompt.decisions]:
                seen.append(prompt.key)
                await prompt.decide(decision, **said)

    async with Client(user="ana", groups=["desk"]) as client, client.console() as desk:
        task = asyncio.create_task(answer_all())
        try:
            yield seen
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def asked(key: str, server: str | None = None) -> None:
    """Wait until an open prompt has this key, as a reader does who reads on."""
    async with Client(server, user="ana", groups=["desk"]) as client:
        while key not in [prompt.key async for prompt in client.prompts()]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
