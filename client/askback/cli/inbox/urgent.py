"""The open prompts in the order of an inbox, read from a service that lists them by priority first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from askback._client.client import Client
    from askback._model.prompts import PromptInfo

_PAGE_SIZE = 500


async def ending_soon(client: Client, narrowed: dict[str, Any]) -> list[PromptInfo]:
    """The matching open prompts that come first because they end soon, in their order."""
    from askback._model.inbox_order import ENDS_SOON, inbox_order
    from askback.terminal.words import now

    at = now()
    soon = client.prompts(**narrowed, expires_before=at + ENDS_SOON, page_size=_PAGE_SIZE)
    return sorted([prompt async for prompt in soon], key=lambda prompt: inbox_order(prompt, at))


async def inbox(client: Client, narrowed: dict[str, Any]) -> AsyncIterator[PromptInfo]:
    """The matching open prompts, the most urgent first."""
    first = await ending_soon(client, narrowed)
    for prompt in first:
        yield prompt
    known = {prompt.prompt_id for prompt in first}
    async for prompt in client.prompts(**narrowed):
        if prompt.prompt_id not in known:
            yield prompt
