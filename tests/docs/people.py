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

    A prompt that does not offer the decision is left alone. An answer is a decision and what goes with it: `("RESPOND", {"values": "because"})`.
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
