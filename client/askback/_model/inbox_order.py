"""The order of an inbox: what a person should look at first. All consoles, and the web page, have it."""

from __future__ import annotations

from datetime import datetime, timedelta

from askback._model.prompts import PromptInfo

ENDS_SOON = timedelta(minutes=5)
"""A prompt that ends within this time comes first, whatever its priority: later it cannot be answered."""


def inbox_order(prompt: PromptInfo, at: datetime) -> tuple[float, ...] | tuple[float | str, ...]:
    """The sort key of an open prompt at a time: first what ends within five minutes, the first to end first;
    then by priority (high first), deadline (near first) and age (old first).

    The service lists prompts by priority, deadline and age alone, because its order does not depend on the
    time.
    """
    never = float("inf")
    deadline = prompt.expires_at.timestamp() if prompt.expires_at else never
    ends_soon = prompt.expires_at is not None and prompt.expires_at <= at + ENDS_SOON
    return (
        deadline if ends_soon else never,
        -prompt.proto.content.priority,
        deadline,
        prompt.created_at.timestamp() if prompt.created_at else never,
        prompt.prompt_id,
    )
