"""Following one job by its events without a gap, or one prompt to its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt
from askback_server.engine.committed import Committed
from askback_server.feed.feed import Feed
from askback_server.ports.storage import JobStore
from askback_server.sessions.job_viewer import JobViewer
from askback_server.sessions.unsent import Account
from askback_server.sessions.watch import Watch

LIVE = 20
"""Events that are kept until they can be told."""
EVENTS = 100
EVENTS_BYTES = 256 * 1024
"""Events of one page, and about what they may take."""
IDLE = 15.0
"""Seconds after which a stream that has nothing to tell sends a frame all the same."""

_ENDS = frozenset({EventType.JOB_COMPLETED, EventType.JOB_FAILED, EventType.JOB_CANCELLED})


async def job_events(
    feed: Feed, jobs: JobStore, job: Job, after_seq: int, watch: Watch, account: Account, viewer: JobViewer
) -> AsyncIterator[list[Event]]:
    """Batches of a job's events above a seq, in order without a gap; ends after the job's end.

    After IDLE seconds without an event there is an empty batch: proxies cut streams that say nothing.
    The viewer has looked at each batch, and looks again whenever `watch.changed` is set. Raises what it does.
    """
    changed = watch.changed
    live: list[Event] = []

    def on_commit(item: Committed) -> None:
        live.extend(item.events)
        if len(live) > LIVE:
            live.clear()  # too slow: what is missing is read
        changed.set()

    stop = feed.follow_job(job.job_id, on_commit)
    try:
        last = after_seq
        while True:
            changed.clear()
            batch = [e for e in live if e.seq > last]
            live.clear()
            if not batch or batch[0].seq != last + 1 or batch[-1].seq != last + len(batch):
                page = await account.reserve(EVENTS_BYTES)
                batch = await jobs.list_events(job.job_id, last, EVENTS)
            else:
                page = None
            await viewer.look(batch)
            told = bool(batch)
            if told:
                last, ended = batch[-1].seq, any(e.type in _ENDS for e in batch)
                yield batch
                batch = []
                if ended:
                    return
            if page is not None:
                page()
            if told:
                continue
            if job.is_terminal:
                return
            watch.check()
            try:
                async with asyncio.timeout(IDLE):
                    await changed.wait()
            except TimeoutError:
                yield []
    finally:
        stop()


async def wait_for_resolution(feed: Feed, read: Callable[[], Awaitable[Prompt]], wait: float) -> Prompt:
    """Wait up to `wait` seconds for a prompt to end. Returns it as it then is.

    `read` gives the prompt as it is; it is called once more after the feed is followed, so that an
    end in between is not missed.
    """
    newest = await read()
    if not newest.is_open or wait <= 0:
        return newest
    done = asyncio.Event()

    def on_commit(item: Committed) -> None:
        nonlocal newest
        for changed in item.prompts:
            if changed.prompt_id == newest.prompt_id and changed.version > newest.version:
                newest = changed
                if not changed.is_open:
                    done.set()

    stop = feed.follow_job(newest.job_id, on_commit)
    try:
        again = await read()
        if again.is_open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await done.wait()
        return max(again, newest, key=lambda p: p.version)
    finally:
        stop()
