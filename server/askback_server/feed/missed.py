"""What a follower has missed since the position of its resume token."""

from __future__ import annotations

from askback_server.feed.tokens import Refusal
from askback_server.ports.storage import Changed, FeedStore, Position

PAGE = 2_000
"""Events read at once."""
CATCH_UP = 20_000
"""Events read for a resume; beyond that a snapshot is cheaper."""
TOO_MUCH = "too much changed since the resume token"


async def read_missed(log: FeedStore, position: Position) -> list[Changed] | Refusal:
    """All that was committed after a position, or why that cannot be said.

    Call it once the feed is followed. What is not settled yet is in it too: it may have been delivered
    before the follower came, by this replica's own commit or another's call, and the log, which brings
    it once more when it is settled, is then no news to anybody. What commits while this reads is
    delivered, for the follower is there.
    """
    refusal = await refusal_of(log, position)
    if refusal is not None:
        return refusal
    found: list[Changed] = []
    for _ in range(CATCH_UP // PAGE):
        changed, reached = await log.after(position, PAGE, settled=False)
        if reached == position:
            return found
        found += changed
        position = reached
    return Refusal(TOO_MUCH)


async def refusal_of(log: FeedStore, position: Position) -> Refusal | None:
    """Why what was committed after a position cannot be said; None if it can."""
    if position < await log.tail():
        return Refusal("the resume token is older than the log")
    if not await log.knows(position):
        return Refusal("the resume token names what this database does not have", history_lost=True)
    return None
