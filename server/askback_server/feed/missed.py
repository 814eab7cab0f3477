"""Reads what a follower has missed since the position of its resume token."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from askback_server.feed.tokens import Refusal
from askback_server.ports.storage import FeedStore, Position

PAGE_SIZE = 2_000
"""Events read per query."""
MAX_MISSED_EVENTS = 20_000
"""Maximum number of events read for a resume; beyond it a snapshot is cheaper."""
TOO_MUCH = "too much changed since the resume token"
UNREADABLE = "the log after the resume token was dropped while it was read"


Missed = Mapping[str, AbstractSet[str]]
"""The ids of the prompts that changed, by namespace."""


async def read_missed(log: FeedStore, position: Position) -> Missed | Refusal:
    """Read which prompts changed after a position, or why that is not possible, or too much.

    Call it after following the feed: what commits while this reads is then delivered. Unsettled events are
    included. They may have been decided before the follower came, as this replica's own commit or when they
    were announced, and the log does not deliver them a second time.
    """
    found: dict[str, set[str]] = {}
    for _ in range(MAX_MISSED_EVENTS // PAGE_SIZE):
        changed = await log.changed_prompts(position, PAGE_SIZE)
        if changed is None:
            return await refusal_of(log, position) or Refusal(UNREADABLE)
        for namespace, ids in changed.ids.items():
            found.setdefault(namespace, set()).update(ids)
        if changed.is_all:
            return found
        position = changed.reached
    return Refusal(TOO_MUCH)


async def refusal_of(log: FeedStore, position: Position) -> Refusal | None:
    """Why the changes after a position cannot be read; None if they can."""
    if position < await log.tail():
        return Refusal("the resume token is older than the log")
    if not await log.has_position(position):
        return Refusal("the resume token names what this database does not have", history_lost=True)
    return None
