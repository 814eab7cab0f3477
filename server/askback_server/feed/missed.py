"""Reads what a follower has missed since the position of its resume token."""

from __future__ import annotations

from askback_server.feed.tokens import Refusal
from askback_server.ports.storage import Changed, FeedStore, Position

PAGE_SIZE = 2_000
"""Events read per query."""
MAX_MISSED_EVENTS = 20_000
"""Maximum number of events read for a resume; beyond it a snapshot is cheaper."""
TOO_MUCH = "too much changed since the resume token"


async def read_missed(log: FeedStore, position: Position) -> list[Changed] | Refusal:
    """Read everything committed after a position, or return that it is too much.

    Call it after following the feed: what commits while this reads is then delivered. Unsettled events are
    included. They may have been decided before the follower came, as this replica's own commit or when they
    were announced, and the log does not deliver them a second time.
    """
    found: list[Changed] = []
    for _ in range(MAX_MISSED_EVENTS // PAGE_SIZE):
        changed, reached = await log.after(position, PAGE_SIZE, settled=False)
        if reached == position:
            return found
        found += changed
        position = reached
    return Refusal(TOO_MUCH)


async def refusal_of(log: FeedStore, position: Position) -> Refusal | None:
    """Why the changes after a position cannot be read; None if they can."""
    if position < await log.tail():
        return Refusal("the resume token is older than the log")
    if not await log.has_position(position):
        return Refusal("the resume token names what this database does not have", history_lost=True)
    return None
