"""Views that wait for the same read share it, and only those."""

import asyncio
from typing import Any, cast

from askback_server.domain.principals import Principal, Role
from askback_server.feed.tokens import ResumeTokens, digest_view
from askback_server.ports.queries import PromptFilter
from askback_server.ports.storage import ChangedPromptIds, Position
from askback_server.sessions.admission import Admission
from askback_server.sessions.frames import CaughtUp, Reset
from askback_server.sessions.images import Images
from askback_server.sessions.memory_budget import MemoryBudget
from askback_server.sessions.prompt_follower import PromptFollower
from askback_server.sessions.prompt_view import PromptView

FILTER = PromptFilter("default", viewer=Principal("ann", frozenset({Role.CONSOLE})))


class Log:
    """The feed and the log after a restore: the log has the mark "new" at each position."""

    position = Position()

    def follow_prompts(self, *_: Any) -> Any:
        return lambda: None

    follow_position = follow_prompts

    async def reach(self, position: Position) -> None:
        pass

    async def tail(self) -> Position:
        return Position()

    async def has_position(self, position: Position) -> bool:
        return position.mark == "new"

    async def changed_prompts(self, position: Position, limit: int) -> ChangedPromptIds | None:
        return ChangedPromptIds({}, position, is_all=True) if position.mark == "new" else None


async def test_tokens_from_before_and_after_a_restore_share_no_read() -> None:
    """They may name the same position. Only the console whose events are lost is told so."""
    log, tokens, admission = Log(), ResumeTokens(b"key", "epoch"), Admission(8)
    account, images = MemoryBudget(10**9, 10**9).account("ann", print), Images(10**9)

    async def resume(mark: str) -> type:
        view, jobs, changed = PromptView(FILTER), cast(Any, None), asyncio.Event()
        follower = PromptFollower(view, log, log, jobs, tokens, admission, images, account, changed)
        token = tokens.make(Position(7, 7, mark), digest_view(FILTER))
        following = asyncio.create_task(follower.follow(token))
        await changed.wait()
        following.cancel()
        return type(view.take(1, lambda: "")[0])

    assert await asyncio.gather(*map(resume, ("old", "new"))) == [Reset, CaughtUp]


async def test_a_view_never_joins_a_read_that_has_started() -> None:
    """What commits after the start may be missing in it. Views that come meanwhile share the next read."""
    admission, gate, reads = Admission(8), asyncio.Event(), 0

    async def read() -> int:
        nonlocal reads
        reads += 1
        started.set()
        mine = reads
        await gate.wait()
        return mine

    started = asyncio.Event()
    first = asyncio.create_task(admission.load("ann", "key", read))
    await started.wait()
    later = [asyncio.create_task(admission.load(who, "key", read)) for who in ("bob", "cy")]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(first, *later) == [1, 2, 2]
