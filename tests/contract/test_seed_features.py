"""The features of the program that Askback grew from, under the names of its tests (docs/design.md 11)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.config.settings import Config
from askback_server.domain.aggregate import Aggregate
from askback_server.domain.content import PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.errors import JobNotFound, StorageUnavailable
from askback_server.domain.forms import IntegerInput, Question, Questions
from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import AnswerStatus
from askback_server.engine.checkpoints import Checkpoints
from askback_server.engine.hot_jobs import IDLE_SECONDS
from askback_server.engine.hourly_counts import HourlyCounts
from askback_server.engine.pace import Pace
from askback_server.engine.purge import Purge
from askback_server.engine.sweep import Sweep
from askback_server.ports.clock import uuid7
from askback_server.ports.storage import Wanted, WorkQueue
from askback_server.storage import tables
from askback_server.storage.database import Database
from tests.support.aggregates import CLIENT
from tests.support.storage import DelegatingStore, Node, fetch, node
from tests.support.waiting import until


class CountingReads(DelegatingStore):
    """A store that counts its reads."""

    loads = 0

    async def load(self, wanted: Sequence[Wanted]) -> list[Aggregate]:
        self.loads += 1
        found: list[Aggregate] = await self._store.load(wanted)
        return found


class ManualTime:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def sweep_of(replica: Node, queue: WorkQueue | None = None, interval: float = 300.0) -> Sweep:
    queue = queue or replica.database.queue
    pace = Pace(lambda: replica.engine.idle)
    return Sweep(
        queue,
        replica.clock,
        interval,
        Purge(replica.engine, queue, replica.database.queue_locks, pace),
        pace,
        replica.database.sign_outs,
        HourlyCounts(replica.database.overview, replica.clock, timedelta(days=400)),
        Checkpoints(replica.database.checkpoints, replica.clock, str),
    )


async def test_memory_first_database_fallback(migrated_db_url: str) -> None:
    async with node(migrated_db_url, wrap=CountingReads) as here:
        here.queries._store = here.store
        job, prompt = await here.waiting(input_json='{"z": 1, "a": 2}')
        here.store.loads = 0
        for _ in range(3):
            found, prompts = await here.queries.job_with_prompts(job.job_id, CLIENT)
            assert (found.state, prompts) == (JobState.PENDING_HITL, [prompt])
        assert here.store.loads == 0, "memory first"

        here.hot.drop(job.job_id)
        assert await here.queries.job_with_prompts(job.job_id, CLIENT) == (found, [prompt])
        assert here.store.loads == 1, "then the database"
        assert await here.queries.job_with_prompts(job.job_id, CLIENT) == (found, [prompt])
        assert here.store.loads == 1, "and memory again"

        with pytest.raises(JobNotFound):
            await here.queries.job(uuid7(), CLIENT)
        # A replica with an empty memory finds both in the database.
        async with node(migrated_db_url) as other:
            assert await other.queries.job_with_prompts(job.job_id, CLIENT) == (found, [prompt])


async def test_ttl_expiry(migrated_db_url: str) -> None:
    clock = ManualTime()
    async with node(migrated_db_url, wrap=CountingReads, monotonic=clock) as here:
        here.queries._store = here.store
        job = await here.lease_new_job(retention=timedelta(microseconds=1))
        kept = await here.lease_new_job()
        clock.seconds = IDLE_SECONDS - 1
        here.store.loads = 0
        await here.queries.job(job.job_id, CLIENT)
        assert here.store.loads == 0
        clock.seconds = IDLE_SECONDS
        here.hot.drop_idle()
        assert len(here.hot) == 1, "only the job that was used stays"
        clock.seconds *= 2
        here.hot.drop_idle()
        assert (len(here.hot), here.hot.bytes) == (0, 0)
        await here.queries.job(job.job_id, CLIENT)
        assert here.store.loads == 1, "the job itself is still stored"

        # A finished job lives as long as its retention.
        await here.complete(job)
        await here.complete(kept)

        async def is_purged() -> bool:
            await sweep_of(here).sweep()
            return await here.database.jobs.get_jobs([job.job_id]) == []

        await until(is_purged, "the job is purged")
        with pytest.raises(JobNotFound):
            await here.queries.job(job.job_id, CLIENT)
        assert (await here.queries.job(kept.job_id, CLIENT, strong=True)).state is JobState.COMPLETED


async def test_hitl_response_persisted(migrated_db_url: str) -> None:
    form = Questions((Question(question_id="amount", title="How much?", input=IntegerInput()),))
    values = '{ "amount": 9007199254740993 }'
    async with node(migrated_db_url) as here:
        job, prompt = await here.waiting(PromptContent("clarify", "How much?", form=form))
        result = await here.answer(prompt, decision=Decision.RESPOND, values_json=values, comment="as agreed")
        assert result.status is AnswerStatus.ACCEPTED

    database = await Database.open(migrated_db_url)
    try:
        [row] = await fetch(database, sa.select(tables.prompts))
        assert (row["status"], row["round_number"], row["interaction_type"]) == ("ANSWERED", 1, "clarify")
        assert row["responded_at"] is not None
        assert values in row["response_data"], "to the byte"
        stored = json.loads(row["response_data"])
        assert (stored["values"], stored["comment"]) == ({"amount": 9007199254740993}, "as agreed")
        [found] = await database.jobs.get_prompts([prompt.prompt_id])
        assert found == result.prompt
        [submitted] = await database.jobs.list_submissions(prompt.prompt_id, 10, 0)
        assert found.resolution is not None
        assert (submitted.status, submitted.answer) == (AnswerStatus.ACCEPTED, found.resolution.answer)
        [back] = await database.jobs.get_jobs([job.job_id])
        assert (back.state, back.open_prompts) == (JobState.RUNNING, 0)
    finally:
        await database.close()


async def test_two_instances_see_one_job(here: Node, there: Node) -> None:
    """A job is created on one replica, answered and completed on the other, and seen on both."""
    feeds = [asyncio.create_task(each.feed.run()) for each in (here, there)]
    try:
        job, prompt = await here.waiting()
        assert (await there.queries.job(job.job_id, CLIENT)).state is JobState.PENDING_HITL
        await until(lambda: there.prompt_states(prompt.prompt_id), "the prompt is seen there")
        assert (await there.answer(prompt)).status is AnswerStatus.ACCEPTED
        await until(
            lambda: here.prompt_states(prompt.prompt_id)[-1:] == ["ANSWERED"], "the answer arrives here"
        )
        assert (await here.queries.job(job.job_id, CLIENT)).state is JobState.RUNNING
        await there.complete(job, '{"by": "there"}')

        async def has_ended() -> bool:
            return (await here.queries.job(job.job_id, CLIENT)).result_json == '{"by": "there"}'

        await until(has_ended, "the end is seen here")
    finally:
        for feed in feeds:
            feed.cancel()
        await asyncio.gather(*feeds, return_exceptions=True)


class FailingQueue:
    """A queue that fails in several ways before it works."""

    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue
        self.errors: list[Exception] = [RuntimeError("a bug"), StorageUnavailable("away"), KeyError("x")]
        self.swept = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    async def make_room(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.swept += 1
        await self._queue.make_room()


async def test_cleanup_loop_survives_an_error_and_stops_on_cancel(
    here: Node, caplog: pytest.LogCaptureFixture
) -> None:
    assert Config().sweep_interval == 300
    job = await here.lease_new_job(retention=timedelta(microseconds=1))
    await here.complete(job)
    queue = FailingQueue(here.database.queue)
    with caplog.at_level(logging.WARNING):
        loop = asyncio.create_task(sweep_of(here, queue, interval=0.001).run())
        await until(lambda: queue.swept > 2, "the loop goes on after each error")
    assert queue.errors == []
    assert "sweep failed; next try" in caplog.text
    assert "a bug" in caplog.text
    assert "sweep: away" in caplog.text

    async def is_purged() -> bool:
        return await here.database.jobs.get_jobs([job.job_id]) == []

    await until(is_purged, "and does its work")
    assert not loop.done()
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    swept = queue.swept
    for _ in range(50):
        await asyncio.sleep(0)
    assert queue.swept == swept
