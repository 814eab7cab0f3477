"""What a view has missed that goes on from a resume token."""

from __future__ import annotations

from askback_server.feed.tokens import ResumeTokens
from askback_server.ports.storage import Changed, FeedStore, Position

PAGE = 2_000
CATCH_UP = 20_000
"""Events read for a resume; beyond that a snapshot is cheaper."""


async def missed_since(
    resume_token: str, view: str, tokens: ResumeTokens, log: FeedStore
) -> list[Changed] | str:
    """What has changed since a view's token, by job; or, as a text for people, why it cannot be honoured."""
    position = tokens.read(resume_token, view)
    if isinstance(position, str):
        return position
    if await is_too_old(log, position):
        return "the resume token is older than the log"
    missed: list[Changed] = []
    read = 0
    while True:
        changed, reached = await log.after(position, PAGE)
        if reached == position:
            return missed
        position, read = reached, read + PAGE
        missed.extend(changed)
        if read >= CATCH_UP:
            return "too much changed since the resume token"


async def is_too_old(log: FeedStore, position: Position) -> bool:
    """Whether events after the position may be gone."""
    return position < await log.tail()
