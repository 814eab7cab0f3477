"""What a job that waits for people leaves in memory, and costs when it goes on: counted in bytes of objects
and in statements, never in time."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from askback_server.bootstrap import build
from askback_server.config.settings import Config
from askback_server.domain import commands as c
from askback_server.domain import documents
from askback_server.domain.content import Audience, EscalationStep, PromptContent
from askback_server.domain.forms import Option, Question, Questions, SingleInput
from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import AnswerStatus, Prompt
from askback_server.engine import commit_bus, hot_jobs
from askback_server.ports import clock
from askback_server.ports.storage import Wanted
from askback_server.ports.wakeups import NoWakeups
from askback_server.sessions.replica import Replica
from askback_server.storage.database import Database
from askback_server.storage.sqlite import SQLite
from tests.support.aggregates import CLIENT, WORKER
from tests.support.storage import LONG, Node, awake, check_job, node
from tests.support.waiting import until

BATCH = 50
INPUT_JSON = '{"order": 4711, "amount": "129.90", "currency": "EUR", "reason": "arrived broken"}'


def plain(number: int) -> PromptContent:
    return PromptContent("confirm", f"Refund order {number}?", body=f"{number} " + "x" * 250)


def with_form(number: int) -> PromptContent:
    def option(n: int) -> Option:
        return Option(f"{n}", f"Option {n} of {number}")

    questions = tuple(
        Question(question_id=f"q{n}", title=f"Which {n}?", input=SingleInput(tuple(map(option, range(4)))))
        for n in range(3)
    )
    return PromptContent("clarify", f"Refund order {number}?", form=Questions(questions))


def with_details(number: int) -> PromptContent:
    steps = (
        EscalationStep(timedelta(minutes=n + 1), Audience(frozenset({f"{number}-{n}"}))) for n in range(3)
    )
    audience = Audience(frozenset(f"user {number}-{n}" for n in range(5)))
    labels = {f"label-{n}": f"{number}" for n in range(5)}
    return PromptContent(
        "confirm", "Refund?", labels=labels, audience=audience, escalation=tuple(steps), timeout=LONG
    )


def is_ours(filename: str) -> bool:
    """Whether the server makes objects there; `<string>` are constructors of its data classes. Drivers and
    SQLAlchemy have buffers and caches of their own, which are bounded."""
    return "/askback_server/" in filename or filename == "<string>"


async def finish_reads(database: Database) -> None:
    """Wait until nothing is being read, and no thread has a statement's rows any more.

    A part of the replica that polls may hold a page just now. A thread drops what it has written or read
    after its caller has the result: on a busy machine much later.
    """
    dialect, turns = database._dialect, 0
    while turns < 10:  # of the loop, in which the readers take what was read, and may read on
        await asyncio.sleep(0)
        turns = 0 if dialect.connections()["in_use"] else turns + 1
    if isinstance(dialect, SQLite):
        for executor in (dialect._writer._thread, dialect._lookups._threads, dialect._lists._threads):
            every = Barrier(executor._max_workers)
            for waits in [executor.submit(every.wait) for _ in range(every.parties)]:
                waits.result()


@asynccontextmanager
async def counted_bytes(
    database: Database, counts: Callable[[str], bool] | None = None
) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """A function that returns the bytes of all objects that were made in this context and still exist: of
    those made in the files that count, if `counts` is given."""

    async def count() -> int:
        await finish_reads(database)
        gc.collect()
        clock._noise.clear()  # drawn ahead for many ids
        if counts is None:
            return tracemalloc.get_traced_memory()[0]
        # By file first: a filter of traces would match the name of the file of each object.
        files = tracemalloc.take_snapshot().statistics("filename")
        return sum(file.size for file in files if counts(file.traceback[0].filename))

    gc.collect()
    gc.freeze()  # else each count would visit what all earlier tests of this process have left
    tracemalloc.start()
    try:
        yield count
    finally:
        tracemalloc.stop()


def remember_few_contents(monkeypatch: pytest.MonkeyPatch, maximum: int) -> None:
    """Begin with none: those of other tests in this process would give way to those of this one."""
    monkeypatch.setattr(documents, "_contents", documents._Contents())
    monkeypatch.setattr(documents, "_MAX_CONTENTS", maximum)


@asynccontextmanager
async def replica_of(url: str) -> AsyncIterator[tuple[Replica, Database]]:
    """All parts of a replica that see commits, without what runs once in a while. What waits to be announced
    to others would count, so nothing is announced."""
    database = await Database.open(url)
    database.wakeups = NoWakeups()
    parts = await build(Config(replica="r", db=url), database)
    parts.presence._settle()
    running = [parts.engine, parts.feed, parts.timers, parts.dispatcher, parts.presence]
    tasks = [asyncio.create_task(part.run()) for part in running]
    try:
        yield parts, database
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await database.close()


async def read_log(replica: Replica) -> None:
    """Let the feed read the log: a page that it holds meanwhile would count."""
    head, position = None, replica.feed.position
    while head != position:
        head = position
        _, position = await replica.log.after(head, 10_000, settled=False)
    while replica.feed.position < position:
        await replica.feed.read()


async def park(replica: Replica, numbers: range) -> None:
    """Create jobs, and have a worker lease each, ask, and release it."""
    session, _ = await replica.sessions.open("default", "w", WORKER.subject, "here", 3600.0)
    lease, engine = c.SessionRef(session.session_id, session.epoch), replica.engine

    async def one(number: int) -> None:
        asked = c.CreateJob(
            principal=CLIENT, namespace="", job_type="parked", input_json=INPUT_JSON, timeout=LONG
        )
        job = (await engine.execute(asked)).job
        taken = c.LeaseJob(principal=WORKER, job_id=job.job_id, session=lease, worker_id="w")
        token = (await engine.execute(taken)).token
        mine = {"principal": WORKER, "job_id": job.job_id, "token": token}
        await engine.execute(c.AskPrompt(**mine, key="a", content=with_details(number)))
        released = await engine.execute(c.ReleaseJob(**mine))
        assert released.state is JobState.PENDING_HITL

    await asyncio.gather(*(one(number) for number in numbers))


async def test_a_parked_job_leaves_little_in_memory(
    migrated_db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its last use a whole replica keeps at most the job's version, and that for a bounded number.

    What was read last is kept too: each round is as large as the others.
    """
    monkeypatch.setattr(hot_jobs, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(commit_bus, "MAX_VERSIONS", 3 * BATCH)
    remember_few_contents(monkeypatch, 20)
    async with replica_of(migrated_db_url) as (replica, database), counted_bytes(database, is_ours) as count:
        sizes = []
        for n in range(6):
            await park(replica, range(n * BATCH, (n + 1) * BATCH))
            await read_log(replica)
            replica.engine.hot.drop_idle()
            sizes.append(await count())
    assert sizes[2] - sizes[0] <= 2 * BATCH * 1024
    assert sizes[5] - sizes[3] <= 2 * BATCH * 100, "flat once caches are full"


async def fill(here: Node, make: Callable[[int], PromptContent], count: int) -> list[str]:
    """Create jobs, each with its prompt. Returns their ids."""
    found: list[str] = []
    for at in range(0, count, BATCH):
        made = (here.create(make(n), input_json=INPUT_JSON) for n in range(at, at + BATCH))
        found += [job.job_id for job in await asyncio.gather(*made)]
    return found


@asynccontextmanager
async def alone(url: str, **settings: Any) -> AsyncIterator[Node]:
    """A replica without sessions, whose test does not record what they would get."""
    async with node(url, **settings) as here:
        here.bus._job_followers.clear()
        here.bus._prompts_followers.clear()
        yield here


@pytest.mark.parametrize("make", [plain, with_form, with_details])
@pytest.mark.parametrize("source", ["written", "read"])
async def test_the_estimated_size_of_jobs_in_memory_is_about_what_they_take(
    lite_url: str, monkeypatch: pytest.MonkeyPatch, make: Callable[[int], PromptContent], source: str
) -> None:
    """Else the bound in bytes bounds something else."""
    remember_few_contents(monkeypatch, 1)
    async with alone(lite_url) as here, counted_bytes(here.database) as count:
        ids = await fill(here, make, 2 * BATCH)
        if source == "read":
            for job_id in ids:
                here.hot.drop(job_id)
            for job_id in ids:
                here.hot.put((await here.database.jobs.load([Wanted(job_id=job_id)]))[0])
        await here.catch_up()  # else the feed may hold a page of the log, which would count
        counted, estimated = await count(), here.hot.bytes
        for job_id in ids:
            here.hot.drop(job_id)
        assert (len(here.hot), here.hot.bytes) == (0, 0)
        real = counted - await count()
    assert 0.5 * estimated < real < 1.25 * estimated


async def test_more_jobs_than_fit_take_no_more_memory(lite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remember_few_contents(monkeypatch, 1)
    monkeypatch.setattr(commit_bus, "MAX_VERSIONS", 1)
    async with alone(lite_url) as here, counted_bytes(here.database, is_ours) as count:
        here.hot.max_bytes = 100_000
        sizes = []
        await fill(here, with_form, 3 * BATCH)  # statements and other caches are made once
        for _ in range(2):
            await fill(here, with_form, 3 * BATCH)
            await here.catch_up()
            sizes.append(await count())
            assert here.hot.bytes <= 100_000
        assert len(here.hot) > 5
    assert sizes[1] - sizes[0] <= 3 * BATCH * 100


def count_reads(here: Node) -> list[Any]:
    """The statements that read jobs and prompts from now on."""
    found: list[Any] = []
    own = here.database.jobs._read

    async def read(*args: Any) -> Any:
        found.append(args[1])
        return await own(*args)

    here.database.jobs._read = read  # type: ignore[method-assign]
    return found


def rest(here: Node) -> None:
    """Let the time pass after which jobs leave the memory."""
    later = here.hot._monotonic() + hot_jobs.IDLE_SECONDS
    here.hot._monotonic = lambda: later
    here.hot.drop_idle()
    assert len(here.hot) == 0


async def test_a_trip_that_does_not_rest_reads_nothing(here: Node) -> None:
    job = await here.lease_new_job()
    reads = count_reads(here)
    for n in range(3):
        prompt = await here.ask(job, f"{n}")
        assert (await here.answer(prompt, f"{n}")).status is AnswerStatus.ACCEPTED
        mine = {"principal": WORKER, "job_id": job.job_id, "token": job.token}
        await here.do(c.AcknowledgePrompts(**mine, prompt_ids=(prompt.prompt_id,)))
    await here.complete(job)
    assert reads == []


@pytest.mark.parametrize("count", [1, 20])
async def test_answers_to_jobs_that_rested_take_one_read_in_all(here: Node, count: int) -> None:
    """The jobs of prompts that a person names, with their prompts; nothing more until they rest again."""
    found = await asyncio.gather(*(here.waiting() for _ in range(count)))
    prompts: list[Prompt] = [prompt for _, prompt in found]
    rest(here)
    reads = count_reads(here)
    results = await asyncio.gather(*(here.answer(prompt) for prompt in prompts))
    assert {result.status for result in results} == {AnswerStatus.ACCEPTED}
    assert len(reads) == 1
    for job, _ in found:
        await here.complete(job)
    assert len(reads) == 1


async def test_a_job_that_rested_goes_on_at_its_worker(here: Node, there: Node) -> None:
    """It is answered at each replica in turn, and refused where it was answered before."""
    for replica, other in ((here, there), (there, here)):
        job, prompt = await here.waiting()
        rest(here)
        assert (await replica.answer(prompt)).status is AnswerStatus.ACCEPTED
        assert (await other.answer(prompt, "a2")).status is AnswerStatus.CLOSED
        again = await replica.answer(prompt)
        assert (again.status, again.replayed) == (AnswerStatus.ACCEPTED, True)
        await here.catch_up()
        await here.complete(job)
        await check_job(here.database, job.job_id)


async def test_a_job_that_changes_while_it_is_read_is_read_again(here: Node, there: Node) -> None:
    """The write made on what was read first loses its guard."""
    job, prompt = await here.waiting()
    rest(here)
    own, statements = here.database.jobs._read, 0

    async def read(*args: Any) -> Any:
        nonlocal statements
        statements += 1
        found = await own(*args)
        if statements == 1:
            await there.do(there.progress_command(job, 1))
        return found

    here.database.jobs._read = read  # type: ignore[method-assign]
    assert (await here.answer(prompt)).status is AnswerStatus.ACCEPTED
    assert statements == 2
    await check_job(here.database, job.job_id)


async def test_the_feed_drops_jobs_that_rest(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    await here.waiting()
    async with awake(here):
        await here.waiting()
        assert len(here.hot) == 2
        monkeypatch.setattr(hot_jobs, "IDLE_SECONDS", 0.0)
        await until(lambda: len(here.hot) == 0, "they have left the memory")
