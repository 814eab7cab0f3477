"""Replicas that call each other: ahead of the log, and by polling alone where calls are not heard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from askback_server.domain import commands as c
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import PromptState
from askback_server.engine.committed import Committed
from askback_server.ports.clock import uuid7
from askback_server.ports.wakeups import Hint
from askback_server.storage import postgres_wakeups
from askback_server.storage.database import Database
from askback_server.storage.postgres_wakeups import PAYLOAD, PostgresWakeups
from tests.contract.test_event_feed import INSERT
from tests.support.aggregates import BOB, CLIENT
from tests.support.pg_relay import PgRelay
from tests.support.storage import Node, awake, creation, new_job, node, step, until

NEVER = 3600.0
"""A poll that does not come within a test: what is told was called out."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_wakeups, "TEST", 0.1)
    monkeypatch.setattr(postgres_wakeups, "PAUSE", 0.05)


@asynccontextmanager
async def long_transaction(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody who has written, and does not come to an end: the log cannot be read beyond it."""
    slow = await asyncpg.connect(url.replace("+asyncpg", ""), server_settings={"application_name": "slow"})
    try:
        async with slow.transaction():
            await slow.execute(INSERT, uuid7(), uuid7())
            yield slow
    finally:
        await slow.close()


async def backends(url: str, name: str) -> list[int]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        found = await connection.fetch(
            "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()",
            name,
        )
        return [row["pid"] for row in found]
    finally:
        await connection.close()


async def kill(url: str, name: str) -> int:
    """End the backends of an application name. Returns how many."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        found = await connection.fetch(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = $1 AND datname = current_database()",
            name,
        )
        return len(found)
    finally:
        await connection.close()


def live(*nodes: Node) -> Any:
    return lambda: all(n.feed.wakeups.live for n in nodes)


@pytest.fixture
async def two(pg_url: str) -> AsyncIterator[tuple[Node, Node]]:
    """Two replicas that never poll, and hear each other."""
    async with node(pg_url, poll=NEVER) as here, node(pg_url, poll=NEVER) as there, awake(here, there):
        await until(live(here, there), "they hear each other")
        yield here, there


async def test_what_is_called_out_is_told_ahead_of_the_horizon(two: tuple[Node, Node], pg_url: str) -> None:
    here, there = two
    async with long_transaction(pg_url):
        before = here.feed.position
        job, prompt = await there.waiting()
        await until(lambda: here.prompts_told(prompt.prompt_id), "the question is told")
        await there.answer(prompt)
        answered = PromptState.ANSWERED
        await until(lambda: here.prompts_told(prompt.prompt_id)[-1] is answered, "and the answer")
        # A position is only ever the log's: a token made now leads back to before all of it.
        assert here.feed.position == before
    versions = [item.job.version for item in here.told if item.job.job_id == job.job_id]
    assert versions == sorted(versions)
    await here.catch_up()
    assert here.newest_told(prompt.prompt_id).state is answered


async def test_a_replica_does_not_hear_itself(two: tuple[Node, Node]) -> None:
    here, there = two
    heard: list[Hint] = []
    own = here.feed.receive_hints
    here.feed.wakeups._heard = lambda hints: (heard.extend(hints), own(hints))  # type: ignore[attr-defined]
    mine, theirs = await here.create(), await there.create()
    await until(lambda: heard, "the other's is heard")
    assert [hint.job_id for hint in heard] == [theirs.job_id]
    assert heard == [Hint(theirs.job_id, 0, theirs.version)]
    assert mine.job_id != theirs.job_id


async def test_where_nobody_waits_nothing_is_read_and_the_memory_is_corrected(pg_url: str) -> None:
    async with node(pg_url, poll=NEVER) as here, node(pg_url, poll=NEVER) as there, awake(here, there):
        await until(live(here, there), "they hear each other")
        job = await here.held()
        here.bus._followers.clear()
        read: list[Any] = []
        here.feed._log.of_jobs = lambda marks: read.append(marks)  # type: ignore[assignment, method-assign, return-value, func-returns-value]
        await there.do(there.progress_command(job, 3))
        await until(lambda: here.hot.peek(job.job_id) is None, "what is out of date is forgotten")
        assert not read
        # A follower of this very job is somebody.
        told: list[Committed] = []
        here.feed.follow_job(job.job_id, told.append)
        del here.feed._log.of_jobs  # type: ignore[attr-defined]
        await there.do(there.progress_command(job, 4))
        await until(lambda: told, "its follower is told")
        assert told[-1].job.version == 4


async def test_what_was_missed_before_a_call_is_told_with_it(two: tuple[Node, Node]) -> None:
    """A call was lost, and the next one names only what came after."""
    here, there = two
    job, prompt = await there.waiting()
    await until(lambda: here.prompts_told(prompt.prompt_id), "the question is told")
    silent = there.feed.wakeups
    own, silent.send = silent.send, lambda hints: None  # type: ignore[method-assign]
    await there.answer(prompt)
    silent.send = own  # type: ignore[method-assign]
    await there.do(there.progress_command(job, 1))
    answered = PromptState.ANSWERED
    await until(lambda: here.prompts_told(prompt.prompt_id)[-1] is answered, "the answer is told")


@pytest.mark.parametrize("known", [True, False])
async def test_a_call_that_comes_behind_a_local_commit(here: Node, there: Node, known: bool) -> None:
    """There a prompt is answered; here progress is written on top of it before that was called out."""
    job, prompt = await there.waiting()
    await here.catch_up()
    if not known:
        here.bus._versions.clear()
    await there.answer(prompt)
    await here.do(here.progress_command(job, 1))
    assert here.prompts_told(prompt.prompt_id)[-1] is PromptState.PENDING
    here.feed.receive_hints([Hint(job.job_id, 3, 4)])
    await here.feed._read_hinted()
    assert here.prompts_told(prompt.prompt_id)[-1] is PromptState.ANSWERED
    assert here.told[-1].job.version == 5


async def test_a_job_first_heard_of_by_a_call_hides_nothing_in_the_log(pg_url: str) -> None:
    """What came before the call is still brought by the log, though the job was told newer."""
    async with node(pg_url, poll=NEVER) as there, node(pg_url, poll=NEVER) as here, awake(here):
        await until(live(here), "it listens")
        job = await there.held()
        prompts = [await there.ask(job, f"k{i}") for i in range(3)]
        here.feed.receive_hints([Hint(job.job_id, 4, 5)])
        await until(lambda: here.prompts_told(prompts[2].prompt_id), "the last is told")
        assert not here.prompts_told(prompts[0].prompt_id)
        await here.catch_up()
        for prompt in prompts:
            assert here.prompts_told(prompt.prompt_id)


async def test_late_answers_and_deletions_elsewhere_are_told_as_such(here: Node, there: Node) -> None:
    """By the log, on each database."""
    job, prompt = await here.waiting()
    await here.answer(prompt)
    await here.complete(job)
    known = await here.create()
    unknown = await there.create()
    await here.catch_up()
    await there.answer(prompt, "late", principal=BOB)
    for gone in (known, unknown):
        await there.do(c.CancelJob(principal=CLIENT, job_id=gone.job_id))
        await there.do(c.DeleteJob(principal=CLIENT, job_id=gone.job_id))
    here.hot.drop(unknown.job_id)
    await here.catch_up()
    [late] = [item for item in here.told if item.late]
    assert (late.job.job_id, late.late, late.events) == (job.job_id, {prompt.prompt_id}, ())
    ended: dict[str, Job] = {item.job.job_id: item.job for item in here.told if item.deleted}
    assert set(ended) == {known.job_id, unknown.job_id}
    assert (ended[known.job_id].job_type, ended[unknown.job_id].job_type) == ("refund", "")
    assert {job.version for job in ended.values()} == {3}


async def test_who_listens_again_looks_for_what_was_called_meanwhile(
    two: tuple[Node, Node], pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = two
    ears = here.feed.wakeups
    assert isinstance(ears, PostgresWakeups)
    own, gate = ears._connect, asyncio.Event()

    @asynccontextmanager
    async def connect(name: str) -> AsyncIterator[Any]:
        await gate.wait()
        async with own(name) as connection:
            yield connection

    monkeypatch.setattr(ears, "_connect", connect)
    assert await kill(pg_url, "askback listener") == 2
    await until(lambda: not ears.live, "it has noticed")
    job, prompt = await there.waiting()
    await until(lambda: not there.feed.wakeups._pending, "it is called out to nobody")  # type: ignore[attr-defined]
    gate.set()
    await until(lambda: here.prompts_told(prompt.prompt_id), "it is found")
    assert job.job_id


@pytest.mark.parametrize("name", ["askback listener", "askback wake-ups"])
async def test_a_connection_that_is_killed_comes_back(
    two: tuple[Node, Node], pg_url: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = two
    first = await backends(pg_url, name)
    assert len(first) == 2
    assert await kill(pg_url, name) == 2

    async def renewed() -> bool:
        now = await backends(pg_url, name)
        return len(now) == 2 and not set(now) & set(first)

    # Nobody is told that the sender is gone before it sends; the listener's own test does.
    await until(renewed, "both are back")
    await until(live(here, there), "they hear each other again")
    job = await there.create()
    await until(lambda: job.job_id in {item.job.job_id for item in here.told}, "calls are heard again")
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


async def test_a_listener_that_hangs_is_noticed(pg_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is cut without a word: the driver would wait for the rest of its life."""
    monkeypatch.setattr(postgres_wakeups, "ECHO", 0.5)
    relay = PgRelay(pg_url)
    async with relay.serve() as through, node(pg_url) as there, _listener(through) as (heard, ears):
        relay.freeze()
        await until(lambda: not ears.live, "its own call does not come back")
        relay.thaw()
        await until(lambda: ears.live, "it has a new connection")
        heard.clear()
        async with awake(there):
            job = await there.create()
            await until(lambda: job.job_id in {hint.job_id for hint in heard}, "calls are heard again")


@asynccontextmanager
async def _listener(url: str) -> AsyncIterator[tuple[list[Hint], PostgresWakeups]]:
    """Wake-ups alone, and what they hear."""
    database = await Database.open(url)
    ears = database.wakeups
    assert isinstance(ears, PostgresWakeups)
    heard: list[Hint] = []
    running = asyncio.create_task(ears.run(heard.extend))
    try:
        await until(lambda: ears.live, "it listens")
        yield heard, ears
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await database.close()


async def test_behind_a_pooler_that_loses_notifications_polling_does_it_alone(
    pg_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_wakeups, "ECHO", 0.1)
    caplog.set_level(logging.INFO)
    relay = PgRelay(pg_url)
    relay.mute = True
    async with relay.serve() as through, node(through) as here, node(pg_url) as there, awake(here, there):
        await until(lambda: "polling" in caplog.text, "it says so")
        opened = relay.opened
        await until(lambda: relay.opened > opened + 2, "it has tried again")
        job, prompt = await there.waiting()
        await there.answer(prompt)
        answered = PromptState.ANSWERED
        await until(lambda: here.prompts_told(prompt.prompt_id)[-1:] == [answered], "polling brings it")
        assert not here.feed.wakeups.live
        # What it says itself is heard by those who can.
        mine = await here.create()
        await until(lambda: mine.job_id in {item.job.job_id for item in there.told}, "it is heard")
    said = [r for r in caplog.records if r.levelno >= logging.WARNING and "NOTIFY" in r.message]
    assert len(said) == 1
    assert job.job_id


async def test_a_call_is_bounded_and_what_is_too_much_is_said_without_names(pg_url: str) -> None:
    database = await Database.open(pg_url)
    try:
        mouth = database.wakeups
        assert isinstance(mouth, PostgresWakeups)
        few = {uuid7(): (10**6, 10**6 + 1) for _ in range(100)}
        [payload] = mouth._payloads("", few)
        assert len(payload) < PAYLOAD
        assert payload.count(":") == 200
        [bare] = mouth._payloads("", {uuid7(): (1, 2) for _ in range(1000)})
        assert len(bare) < 20
        # Also when nothing can be sent for long.
        mouth.send(Hint(uuid7(), 1, 2) for _ in range(5000))
        assert len(mouth._pending) == 1000
    finally:
        await database.close()


async def test_one_call_for_all_that_waits(pg_url: str) -> None:
    """Commits that come while one call is on its way go out together, with each job's whole span."""
    sent: list[str] = []
    gate = asyncio.Event()

    class Connection:
        async def execute(self, statement: str, channel: str, payload: str, **_: Any) -> None:
            sent.append(payload)
            await gate.wait()

    @asynccontextmanager
    async def connect(name: str) -> AsyncIterator[Any]:
        yield Connection()

    mouth = PostgresWakeups(connect)
    sending = asyncio.create_task(mouth._send_all())
    mouth.send([Hint("a", 0, 1)])
    await until(lambda: sent, "the first goes out at once")
    mouth.send([Hint("a", 1, 2), Hint("b", 4, 6)])
    mouth.send([Hint("b", 6, 7), Hint("a", 2, 5)])
    gate.set()
    await until(lambda: len(sent) == 2, "the rest goes out")
    assert sent[1].split(" ", 1)[1] == "jobs a:1:5 b:4:7"
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


async def test_a_bare_call_makes_the_log_be_read(two: tuple[Node, Node]) -> None:
    here, there = two
    silent = there.feed.wakeups
    silent.send = lambda hints: None  # type: ignore[method-assign]
    job = await there.create()
    here.feed.receive_hints([])
    await until(lambda: job.job_id in {item.job.job_id for item in here.told}, "the log has it")


async def test_what_changed_of_some_jobs(database: Database) -> None:
    """As a call makes it be read: by job and seq, whatever the log's order."""
    one, two, other = new_job(), new_job(), new_job()
    await database.jobs.write([creation(job) for job in (one, two, other)])
    await database.jobs.write([step(one), step(two)])
    found = await database.feed.of_jobs({one.job_id: 1, two.job_id: 0, uuid7(): 0})
    assert {(change.job_id, change.seq) for change in found} == {(one.job_id, 2), (two.job_id, 2)}
    assert await database.feed.of_jobs({one.job_id: 2}) == []
    assert await database.feed.of_jobs({}) == []
