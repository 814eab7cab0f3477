"""WatchPrompts: the view of Converse for a client that only reads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Protocol

from askback_server.ports.clock import Clock
from askback_server.ports.queries import PromptFilter
from askback_server.sessions.access import Access
from askback_server.sessions.frames import Bookmark, PromptEvent
from askback_server.sessions.live_view import LiveView, ViewDeps
from askback_server.sessions.memory_budget import Account
from askback_server.sessions.prompt_view import PromptView
from askback_server.sessions.stream_session import MAX_FRAMES
from askback_server.sessions.watch import Watch


class WatchDeps(ViewDeps, Protocol):
    """What WatchPrompts needs of the replica. `heartbeat` in seconds."""

    clock: Clock
    heartbeat: float


async def watch_prompts(
    deps: WatchDeps, access: Access, filter: PromptFilter, resume_token: str, watch: Watch, account: Account
) -> AsyncGenerator[list[PromptEvent], None]:
    """Batches of a view's events. The caller asks for the next batch when it has written the one before.

    A batch is empty as a heartbeat while the view is loaded: no token can be given yet, and proxies cut
    streams that are silent. Raises Draining once `watch` is dismissed, and what ends the follower.
    """
    view = PromptView(filter)
    live = LiveView(deps, view, account, watch.changed)
    following = asyncio.create_task(live.follow(resume_token))
    following.add_done_callback(lambda _: watch.changed.set())
    clock = deps.clock.monotonic
    due = clock() + deps.heartbeat
    try:
        access.follow(live.change_access, filter.viewer or access.principal)
        while True:
            watch.changed.clear()
            if following.done():
                following.result()
            while view.has_news:
                yield view.take(MAX_FRAMES, lambda: live.token)
                live.note_written()
            if clock() >= due:
                yield [Bookmark(live.token)] if view.caught_up else []
                due = clock() + deps.heartbeat
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - clock())):
                    await watch.changed.wait()
            watch.check()
    finally:
        following.cancel()
        live.close()
