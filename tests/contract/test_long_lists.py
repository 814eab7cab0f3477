"""Lists and look-ups have connections of their own: lists may take long, and every write needs look-ups."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest

from askback_server.ports.queries import PromptFilter
from askback_server.storage.database import Database
from askback_server.storage.postgres_pools import PINNED
from askback_server.storage.sqlite_lookups import THREADS
from tests.support.rows import creation, new_job, new_prompt

pytestmark = pytest.mark.usefixtures("own_connections")

KINDS = {"lists": ("_lists", "_pinned_lists"), "look-ups": ("_lookups", "_pinned_reads")}


@asynccontextmanager
async def all_in_use(database: Database, kind: str) -> AsyncIterator[None]:
    """Occupy all connections of a kind."""
    dialect: Any = database._dialect
    of_sqlite, of_postgres = KINDS[kind]
    if dialect.name == "sqlite":
        with _busy_threads(getattr(dialect, of_sqlite)):
            yield
        return
    async with AsyncExitStack() as taken:
        for _ in range(PINNED):
            await taken.enter_async_context(getattr(dialect, of_postgres).one())
        yield


@contextmanager
def _busy_threads(lookups: Any) -> Iterator[None]:
    go_on = threading.Event()
    for _ in range(THREADS):
        lookups._threads.submit(go_on.wait)
    try:
        yield
    finally:
        go_on.set()


@pytest.mark.parametrize("kind", KINDS)
async def test_lists_and_look_ups_do_not_wait_for_each_other(database: Database, kind: str) -> None:
    job = new_job()
    await database.jobs.write([creation(job, new_prompt(job))])
    async with asyncio.timeout(30), all_in_use(database, kind):
        if kind == "lists":
            assert await database.jobs.get_jobs([job.job_id])
        else:
            assert await database.jobs.count_prompts(PromptFilter("default")) == 1
