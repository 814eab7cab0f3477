"""The writer's connection breaks while a batch is being written: what became of it is found out."""

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
from tests.support.storage import (
    check_job,
    counts,
    creation,
    get_job,
    new_job,
    node,
    step,
    until,
    with_children,
)

Write = Callable[[Any], Awaitable[Any]]


@pytest.fixture(autouse=True)
def settle_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_store, "SETTLE_PAUSE", 0.01)


@asynccontextmanager
async def killer(url: str) -> AsyncIterator[Callable[[str], Awaitable[int]]]:
    """A function that ends the writers' backends of which a condition holds. Returns how many."""
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


def once(database: Database, monkeypatch: pytest.MonkeyPatch, first: Callable[[Write, Any], Any]) -> None:
    """The dialect's first write is `first`, the others are its own."""
    own = database._dialect.write
    calls = 0

    async def write(batch: Any) -> Any:
        nonlocal calls
        calls += 1
        return await (first(own, batch) if calls == 1 else own(batch))

    monkeypatch.setattr(database._dialect, "write", write)


class Scene:
    """A batch of every kind of write, some of which lose."""

    def __init__(self) -> None:
        self.changed, self.gone, self.stale = new_job(), new_job(), new_job()
        self.known = new_job(request_id="known")
        self.named, self.unnamed, self.again = new_job(request_id="r"), new_job(), new_job(request_id="known")

    async def prepare(self, database: Database) -> None:
        jobs = (self.changed, self.gone, self.stale, self.known)
        assert not (await database.jobs.write([creation(job) for job in jobs])).lost

    def batch(self) -> list[JobWrite]:
        return [
            with_children(step(self.changed)),
            step(self.gone, deleted=True),
            with_children(step(replace(self.stale, version=7))),
            with_children(creation(self.named)),
            with_children(creation(self.unnamed)),
            with_children(creation(self.again)),
        ]

    async def check(self, database: Database, lost: dict[str, Lost]) -> None:
        """As after one write, whatever happened to the connection."""
        assert lost == {self.stale.job_id: Lost.VERSION, self.again.job_id: Lost.VERSION}
        assert await counts(database, self.changed.job_id) == (1, 1, 1, 1, 2)
        assert await counts(database, self.gone.job_id) == (0, 0, 0, 0, 2)
        assert await counts(database, self.stale.job_id) == (0, 0, 0, 0, 1)
        assert await counts(database, self.named.job_id) == (1, 1, 1, 1, 1)
        assert await counts(database, self.unnamed.job_id) == (1, 1, 1, 1, 1)
        assert await counts(database, self.again.job_id) == (0, 0, 0, 0, 0)
        assert (await get_job(database, self.changed.job_id)).version == 2


async def test_cut_after_the_commit_and_before_the_reply(
    pg: Database, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene()
    await scene.prepare(pg)
    async with killer(pg_url) as kill:

        async def first(own: Write, batch: Any) -> None:
            await own(batch)
            assert await kill("true") == 1
            raise UnknownOutcome("cut after the commit")

        once(pg, monkeypatch, first)
        written = await pg.jobs.write(scene.batch())
    await scene.check(pg, written.lost)


async def test_cut_before_the_commit(pg: Database, pg_url: str) -> None:
    """The statement waits for a lock when its backend is ended: nothing of it stays."""
    scene, other = Scene(), await Database.open(pg_url)
    try:
        await scene.prepare(pg)
        async with killer(pg_url) as kill, other._dialect.reads.connect() as holder:
            await other._dialect._disconnect()  # type: ignore[attr-defined]
            await holder.execution_options(isolation_level="READ COMMITTED")
            locked = sa.select(tables.jobs.c.job_id).where(tables.jobs.c.job_id == scene.gone.job_id)
            await holder.execute(locked.with_for_update())
            writing = asyncio.create_task(pg.jobs.write(scene.batch()))
            await until(lambda: kill("wait_event_type = 'Lock'"), "the writer waits, and is ended")
            await holder.rollback()
            written = await writing
        await scene.check(pg, written.lost)
    finally:
        await other.close()


async def test_nothing_was_sent(pg: Database, pg_url: str) -> None:
    """The connection broke while nobody used it."""
    scene = Scene()
    await scene.prepare(pg)
    async with killer(pg_url) as kill:
        assert await kill("true") == 1
    written = await pg.jobs.write(scene.batch())
    await scene.check(pg, written.lost)


async def test_ours_is_ours_even_if_others_have_written_since(
    pg: Database, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, other = Scene(), await Database.open(pg_url)
    try:
        await scene.prepare(pg)
        batch = scene.batch()

        async def first(own: Write, laid: Any) -> None:
            await own(laid)
            newer = [step(batch[0].job), step(scene.named)]
            assert not (await other.jobs.write(newer)).lost
            raise UnknownOutcome("cut after the commit")

        once(pg, monkeypatch, first)
        written = await pg.jobs.write(batch)
        assert written.lost == {scene.stale.job_id: Lost.VERSION, scene.again.job_id: Lost.VERSION}
        assert (await get_job(pg, scene.changed.job_id)).version == 3
        assert await counts(pg, scene.changed.job_id) == (1, 1, 1, 1, 3)
        assert await counts(pg, scene.named.job_id) == (1, 1, 1, 1, 2)
    finally:
        await other.close()


async def test_what_others_wrote_meanwhile_is_not_ours(
    pg: Database, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, other = Scene(), await Database.open(pg_url)
    try:
        await scene.prepare(pg)

        async def first(own: Write, laid: Any) -> None:
            theirs = [step(scene.changed, worker_id="theirs"), creation(new_job(request_id="r"))]
            assert not (await other.jobs.write(theirs)).lost
            raise UnknownOutcome("cut before the commit")

        once(pg, monkeypatch, first)
        written = await pg.jobs.write(scene.batch())
        lost = (scene.stale, scene.again, scene.changed, scene.named)
        assert written.lost == {job.job_id: Lost.VERSION for job in lost}
        assert (await get_job(pg, scene.changed.job_id)).worker_id == "theirs"
        assert await counts(pg, scene.changed.job_id) == (0, 0, 0, 0, 2)
        assert await counts(pg, scene.named.job_id) == (0, 0, 0, 0, 0)
        assert await counts(pg, scene.unnamed.job_id) == (1, 1, 1, 1, 1)
    finally:
        await other.close()


async def test_a_job_that_was_deleted_while_its_creation_was_settled_stays_deleted(
    pg: Database, pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, other = Scene(), await Database.open(pg_url)
    try:
        await scene.prepare(pg)
        batch = scene.batch()

        async def first(own: Write, laid: Any) -> None:
            await own(laid)
            gone = [step(scene.named, deleted=True), step(scene.unnamed, deleted=True)]
            assert not (await other.jobs.write(gone)).lost
            raise UnknownOutcome("cut after the commit")

        once(pg, monkeypatch, first)
        written = await pg.jobs.write(batch)
        # It was made, which is what its creator asked; and it is gone, which somebody else asked.
        assert written.lost == {scene.stale.job_id: Lost.VERSION, scene.again.job_id: Lost.VERSION}
        for job in (scene.named, scene.unnamed):
            assert await pg.jobs.get_jobs([job.job_id]) == []
            assert await counts(pg, job.job_id) == (0, 0, 0, 0, 2)
    finally:
        await other.close()


async def test_an_outcome_that_stays_unknown_is_said_to_be_so(
    pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_store, "SETTLE_ATTEMPTS", 3)
    async with node(pg_url) as here:
        job = await here.held()
        tried = 0

        async def never(batch: Any) -> Any:
            nonlocal tried
            tried += 1
            raise UnknownOutcome("the network is gone")

        with monkeypatch.context() as cut:
            cut.setattr(here.database._dialect, "write", never)
            with pytest.raises(StorageUnavailable, match="same ids"):
                await here.do(here.progress_command(job, 1))
        assert tried == 4
        assert here.hot.get(job.job_id) is None, "nothing may be believed of the job"
        await here.do(here.progress_command(job, 2))
        await check_job(here.database, job.job_id)


async def test_writers_killed_under_load_lose_nothing_and_double_nothing(
    pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(pg_url, batch_commands=16) as here, killer(pg_url) as kill:
        jobs = [await here.held() for _ in range(12)]
        told: dict[tuple[str, int], str] = {}
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
                    told[job.job_id, done] = "done"
                except AskbackError as error:
                    told[job.job_id, done] = type(error).__name__

        def has_told(enough: int) -> bool:
            return len(told) >= enough

        async def strike() -> None:
            while len(told) < 40 * len(jobs):
                # In mid-statement where it can be caught there; and then it may write for a while.
                enough = min(len(told) + 25, 40 * len(jobs))
                for _ in range(50):
                    if await kill("state = 'active'"):
                        break
                else:
                    await kill("true")
                await until(partial(has_told, enough), "it writes again")

        await asyncio.gather(strike(), *(report(i) for i in range(len(jobs))))
        assert set(told.values()) <= {"done", "StorageUnavailable"}
        assert Counter(told.values())["done"] > 300
        for job in jobs:
            _, events = await check_job(here.database, job.job_id)
            written = Counter((e.data or {})["done"] for e in events if e.type is EventType.JOB_PROGRESSED)
            assert max(written.values()) == 1, "written twice"
            kept = {done for (job_id, done), said in told.items() if (job_id, said) == (job.job_id, "done")}
            assert kept <= written.keys(), "acknowledged and not there"
