"""The writer's connection breaks during a batch: the engine finds out whether the batch was committed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from askback_server.domain.errors import AskbackError, StorageUnavailable
from askback_server.domain.events import EventType
from askback_server.ports.storage import JobWrite, Lost, UnknownOutcome
from askback_server.storage import job_store, tables
from askback_server.storage.database import Database
from tests.support.rows import creation, new_job, step, with_children
from tests.support.storage import check_job, counts, get_job, node
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("own_connections")

Write = Callable[[Any], Awaitable[Any]]


@pytest.fixture(autouse=True)
def settle_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_store, "SETTLE_PAUSE_SECONDS", 0.01)


@asynccontextmanager
async def backend_killer(url: str) -> AsyncIterator[Callable[[str], Awaitable[int]]]:
    """A function that terminates the writers' backends that match a condition, and returns their number."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))

    async def kill(condition: str) -> int:
        rows = await connection.fetch(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = 'askback writer' AND datname = current_database() AND " + condition
        )
        return len(rows)

    try:
        yield kill
    finally:
        await connection.close()


def replace_first_write(
    database: Database, monkeypatch: pytest.MonkeyPatch, first: Callable[[Write, Any], Any]
) -> None:
    """Replace the dialect's first write by `first`."""
    own = database._dialect.write
    calls = 0

    async def write(batch: Any) -> Any:
        nonlocal calls
        calls += 1
        return await (first(own, batch) if calls == 1 else own(batch))

    monkeypatch.setattr(database._dialect, "write", write)


class MixedBatch:
    """A batch with every kind of write, some with guards that fail."""

    def __init__(self) -> None:
        self.changed, self.deleted_job, self.stale = new_job(), new_job(), new_job()
        self.known = new_job(request_id="known")
        self.named, self.unnamed, self.again = new_job(request_id="r"), new_job(), new_job(request_id="known")

    async def prepare(self, database: Database) -> None:
        jobs = (self.changed, self.deleted_job, self.stale, self.known)
        assert not (await database.jobs.write([creation(job) for job in jobs])).lost

    def batch(self) -> list[JobWrite]:
        return [
            with_children(step(self.changed)),
            step(self.deleted_job, deleted=True),
            with_children(step(replace(self.stale, version=7))),
            with_children(creation(self.named)),
            with_children(creation(self.unnamed)),
            with_children(creation(self.again)),
        ]

    async def check(self, database: Database, lost: dict[str, Lost]) -> None:
        """Check that the batch was applied exactly once."""
        assert lost == {self.stale.job_id: Lost.VERSION, self.again.job_id: Lost.VERSION}
        assert await counts(database, self.changed.job_id) == (1, 1, 1, 1, 2)
        assert await counts(database, self.deleted_job.job_id) == (0, 0, 0, 0, 2)
        assert await counts(database, self.stale.job_id) == (0, 0, 0, 0, 1)
        assert await counts(database, self.named.job_id) == (1, 1, 1, 1, 1)
        assert await counts(database, self.unnamed.job_id) == (1, 1, 1, 1, 1)
        assert await counts(database, self.again.job_id) == (0, 0, 0, 0, 0)
        assert (await get_job(database, self.changed.job_id)).version == 2


async def test_a_batch_cut_between_commit_and_reply_is_applied_once(
    pg: Database, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = MixedBatch()
    await mixed.prepare(pg)
    async with backend_killer(pg_url) as kill:

        async def first(own: Write, batch: Any) -> None:
            await own(batch)
            assert await kill("true") == 1
            raise UnknownOutcome("cut after the commit")

        replace_first_write(pg, monkeypatch, first)
        written = await pg.jobs.write(mixed.batch())
    await mixed.check(pg, written.lost)


async def test_a_batch_cut_before_the_commit_is_written_again(pg: Database, pg_url: str) -> None:
    """The backend is terminated while the statement waits for a lock, so nothing is stored."""
    mixed, other = MixedBatch(), await Database.open(pg_url)
    try:
        await mixed.prepare(pg)
        async with backend_killer(pg_url) as kill, other._dialect.reads.connect() as holder:
            await other._dialect._disconnect()  # type: ignore[attr-defined]
            await holder.execution_options(isolation_level="READ COMMITTED")
            locked = sa.select(tables.jobs.c.job_id).where(tables.jobs.c.job_id == mixed.deleted_job.job_id)
            await holder.execute(locked.with_for_update())
            writing = asyncio.create_task(pg.jobs.write(mixed.batch()))
            await until(lambda: kill("wait_event_type = 'Lock'"), "the writer waits, and is ended")
            await holder.rollback()
            written = await writing
        await mixed.check(pg, written.lost)
    finally:
        await other.close()


async def test_a_batch_on_a_connection_that_broke_while_idle_is_written(pg: Database, pg_url: str) -> None:
    mixed = MixedBatch()
    await mixed.prepare(pg)
    async with backend_killer(pg_url) as kill:
        assert await kill("true") == 1
    written = await pg.jobs.write(mixed.batch())
    await mixed.check(pg, written.lost)


async def test_a_committed_batch_is_recognised_even_after_later_writes_of_others(
    pg: Database, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed, other = MixedBatch(), await Database.open(pg_url)
    try:
        await mixed.prepare(pg)
        writes = mixed.batch()

        async def first(own: Write, batch: Any) -> None:
            await own(batch)
            newer = [step(writes[0].job), step(mixed.named)]
            assert not (await other.jobs.write(newer)).lost
            raise UnknownOutcome("cut after the commit")

        replace_first_write(pg, monkeypatch, first)
        written = await pg.jobs.write(writes)
        assert written.lost == {mixed.stale.job_id: Lost.VERSION, mixed.again.job_id: Lost.VERSION}
        assert (await get_job(pg, mixed.changed.job_id)).version == 3
        assert await counts(pg, mixed.changed.job_id) == (1, 1, 1, 1, 3)
        assert await counts(pg, mixed.named.job_id) == (1, 1, 1, 1, 2)
    finally:
        await other.close()


async def test_writes_of_others_are_not_mistaken_for_the_lost_batch(
    pg: Database, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed, other = MixedBatch(), await Database.open(pg_url)
    try:
        await mixed.prepare(pg)

        async def first(own: Write, batch: Any) -> None:
            theirs = [step(mixed.changed, worker_id="theirs"), creation(new_job(request_id="r"))]
            assert not (await other.jobs.write(theirs)).lost
            raise UnknownOutcome("cut before the commit")

        replace_first_write(pg, monkeypatch, first)
        written = await pg.jobs.write(mixed.batch())
        lost = (mixed.stale, mixed.again, mixed.changed, mixed.named)
        assert written.lost == {job.job_id: Lost.VERSION for job in lost}
        assert (await get_job(pg, mixed.changed.job_id)).worker_id == "theirs"
        assert await counts(pg, mixed.changed.job_id) == (0, 0, 0, 0, 2)
        assert await counts(pg, mixed.named.job_id) == (0, 0, 0, 0, 0)
        assert await counts(pg, mixed.unnamed.job_id) == (1, 1, 1, 1, 1)
    finally:
        await other.close()


async def test_a_job_deleted_before_its_creation_was_confirmed_stays_deleted(
    pg: Database, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed, other = MixedBatch(), await Database.open(pg_url)
    try:
        await mixed.prepare(pg)
        batch = mixed.batch()

        async def first(own: Write, batch: Any) -> None:
            await own(batch)
            deletions = [step(mixed.named, deleted=True), step(mixed.unnamed, deleted=True)]
            assert not (await other.jobs.write(deletions)).lost
            raise UnknownOutcome("cut after the commit")

        replace_first_write(pg, monkeypatch, first)
        written = await pg.jobs.write(batch)
        # The creation succeeded, and so did the later deletion.
        assert written.lost == {mixed.stale.job_id: Lost.VERSION, mixed.again.job_id: Lost.VERSION}
        for job in (mixed.named, mixed.unnamed):
            assert await pg.jobs.get_jobs([job.job_id]) == []
            assert await counts(pg, job.job_id) == (0, 0, 0, 0, 2)
    finally:
        await other.close()


async def test_an_outcome_that_stays_unknown_is_reported_as_unavailable(
    pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_store, "SETTLE_ATTEMPTS", 3)
    async with node(pg_url) as here:
        job = await here.lease_new_job()
        tried = 0

        async def never(batch: Any) -> Any:
            nonlocal tried
            tried += 1
            raise UnknownOutcome("the network is down")

        with monkeypatch.context() as cut:
            cut.setattr(here.database._dialect, "write", never)
            with pytest.raises(StorageUnavailable, match="same ids"):
                await here.do(here.progress_command(job, 1))
        assert tried == 4
        assert here.hot.get(job.job_id) is None, "the job must not stay in memory"
        await here.do(here.progress_command(job, 2))
        await check_job(here.database, job.job_id)


async def test_killed_writers_under_load_lose_and_repeat_no_write(
    pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(pg_url, batch_commands=16) as here, backend_killer(pg_url) as kill:
        jobs = [await here.lease_new_job() for _ in range(12)]
        results: dict[tuple[str, int], str] = {}
        own, calls = here.database._dialect.write, 0

        async def write(batch: Any) -> Any:
            nonlocal calls
            calls += 1
            outcome = await own(batch)
            if calls % 5 == 0:
                raise UnknownOutcome("cut after the commit")
            return outcome

        monkeypatch.setattr(here.database._dialect, "write", write)

        async def report(place: int) -> None:
            job = jobs[place]
            for done in range(1, 41):
                try:
                    await here.do(here.progress_command(job, done))
                    results[job.job_id, done] = "done"
                except AskbackError as error:
                    results[job.job_id, done] = type(error).__name__

        def has_results(enough: int) -> bool:
            return len(results) >= enough

        async def kill_during_writes() -> None:
            while len(results) < 40 * len(jobs):
                # Preferably during a statement; then let it write for a while.
                enough = min(len(results) + 25, 40 * len(jobs))
                for _ in range(50):
                    if await kill("state = 'active'"):
                        break
                else:
                    await kill("true")
                await until(partial(has_results, enough), "it writes again")

        await asyncio.gather(kill_during_writes(), *(report(i) for i in range(len(jobs))))
        assert set(results.values()) <= {"done", "StorageUnavailable"}
        assert Counter(results.values())["done"] > 300
        for job in jobs:
            _, events = await check_job(here.database, job.job_id)
            written = Counter((e.data or {})["done"] for e in events if e.type is EventType.JOB_PROGRESSED)
            assert max(written.values()) == 1, "written twice"
            kept = {
                done
                for (job_id, done), outcome in results.items()
                if (job_id, outcome) == (job.job_id, "done")
            }
            assert kept <= written.keys(), "acknowledged but not stored"
