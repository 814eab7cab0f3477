"""Follows the events of one job without a gap, or waits for the end of one prompt."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt
from askback_server.engine.committed import ChangedPrompts
from askback_server.feed.feed import Feed
from askback_server.ports.queries import PromptFilter
from askback_server.ports.storage import JobStore
from askback_server.sessions.job_viewer import JobViewer
from askback_server.sessions.memory_budget import Account
from askback_server.sessions.small_event import SmallEvent
from askback_server.sessions.watch import Watch

MAX_LIVE_EVENTS = 20
"""Events kept in memory per call; a slower reader reads them from the database."""
MAX_PAGE_EVENTS = 100
MAX_PAGE_BYTES = 256 * 1024
"""Maximum number and approximate bytes of events per page."""
IDLE_SECONDS = 15.0
"""Seconds after which an idle stream sends a frame, because proxies cut silent streams."""

_ENDS = frozenset({EventType.JOB_COMPLETED, EventType.JOB_FAILED, EventType.JOB_CANCELLED})


async def job_events(
    feed: Feed, jobs: JobStore, job: Job, after_seq: int, watch: Watch, account: Account, viewer: JobViewer
) -> AsyncIterator[list[Event]]:
    """Yield batches of a job's events after a seq, in order and without a gap, until the job has ended.

    An empty batch is yielded after `IDLE_SECONDS` without an event. `viewer.check` runs before each batch
    and whenever `watch.changed` is set; its errors end the generator.
    """
    changed = watch.changed
    live: list[Event] = []

    def on_events(events: Sequence[Event]) -> None:
        live.extend(events)
        if len(live) > MAX_LIVE_EVENTS:
            live.clear()  # too slow: read them from the database
        changed.set()

    stop = feed.follow_events(job.job_id, on_events)
    try:
        last = after_seq
        while True:
            changed.clear()
            batch = [e for e in live if e.seq > last]
            live.clear()
            if not batch or batch[0].seq != last + 1 or batch[-1].seq != last + len(batch):
                page = await account.reserve(MAX_PAGE_BYTES)
                batch = await jobs.list_events(job.job_id, last, MAX_PAGE_EVENTS)
            else:
                page = None
            await viewer.check(batch)
            has_events = bool(batch)
            if has_events:
                last, ended = batch[-1].seq, any(e.type in _ENDS for e in batch)
                yield batch
                batch = []
                if ended:
                    return
            if page is not None:
                page()
            if has_events:
                continue
            if job.is_terminal:
                return
            watch.check()
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await changed.wait()
            except TimeoutError:
                yield []
    finally:
        stop()


async def wait_for_resolution(feed: Feed, read: Callable[[], Awaitable[Prompt]], wait: float) -> Prompt:
    """Wait up to `wait` seconds for a prompt to close. Returns its latest state.

    `read` reads the prompt. It is called again after the job is followed, so that a change in between is not
    missed.
    """
    newest = await read()
    if not newest.is_open or wait <= 0:
        return newest
    done = SmallEvent()

    def on_change(change: ChangedPrompts) -> None:
        nonlocal newest
        for changed in change.prompts:
            if changed.prompt_id == newest.prompt_id and changed.version > newest.version:
                newest = changed
                if not changed.is_open:
                    done.set()

    of_job = PromptFilter(newest.namespace, job_id=newest.job_id)
    stop = feed.follow_prompts(of_job, on_change)
    try:
        again = await read()
        if again.is_open:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await done.wait()
        return max(again, newest, key=lambda p: p.version)
    finally:
        stop()
