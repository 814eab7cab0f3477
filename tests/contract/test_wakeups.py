"""Wake-ups: announcements arrive before the log is readable; without them, polling is enough."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import asyncpg
import pytest

from askback_server.domain import commands as c
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import PromptState
from askback_server.ports.announcements import EVERYONE, AnnouncedPrompt, Announcement
from askback_server.ports.clock import uuid7
from askback_server.storage import postgres_wakeups
from askback_server.storage.announcement_texts import from_texts
from askback_server.storage.database import Database
from askback_server.storage.postgres_wakeups import MAX_PAYLOAD_BYTES, PostgresWakeups
from tests.contract.test_event_feed import INSERT
from tests.support.aggregates import BOB, CLIENT
from tests.support.pg_relay import PgRelay
from tests.support.rows import creation, new_job, step
from tests.support.storage import Node, awake, node
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("own_connections")

NEVER = 3600.0
"""A poll interval longer than any test: everything delivered was announced."""


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_wakeups, "TEST_SECONDS", 0.1)
    monkeypatch.setattr(postgres_wakeups, "PAUSE", 0.05)


@asynccontextmanager
async def long_transaction(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Open a transaction with a write that does not commit: the log cannot be read past it."""
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
    """Terminate the backends with an application name. Returns their number."""
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


def are_live(*nodes: Node) -> Any:
    return lambda: all(n.feed.wakeups.live for n in nodes)


@pytest.fixture
async def two(pg_url: str) -> AsyncIterator[tuple[Node, Node]]:
    """Two replicas that never poll and receive each other's announcements."""
    async with node(pg_url, poll=NEVER) as here, node(pg_url, poll=NEVER) as there, awake(here, there):
        await until(are_live(here, there), "the replicas get each other's announcements")
        yield here, there


async def test_announcements_deliver_events_beyond_the_event_horizon(
    two: tuple[Node, Node], pg_url: str
) -> None:
    here, there = two
    async with long_transaction(pg_url):
        before = here.feed.position
        job, prompt = await there.waiting()
        await until(lambda: here.prompt_states(prompt.prompt_id), "the prompt is delivered")
        await there.answer(prompt)
        answered = PromptState.ANSWERED
        await until(lambda: here.prompt_states(prompt.prompt_id)[-1] is answered, "the answer is delivered")
        # Announcements do not advance the position: a resume token made now still covers these events.
        assert here.feed.position == before
    versions = [item.job.version for item in here.received if item.job.job_id == job.job_id]
    assert versions == sorted(versions)
    await here.catch_up()
    assert here.newest_prompt(prompt.prompt_id).state is answered


async def test_a_replica_ignores_its_own_announcements(two: tuple[Node, Node]) -> None:
    here, there = two
    received: list[Announcement] = []
    own = here.feed.receive
    here.feed.wakeups._receive = lambda batch: (received.extend(batch), own(batch))  # type: ignore[attr-defined]
    mine, theirs = await here.create(), await there.create()
    await until(lambda: received, "the other replica's announcement is received")
    [announced] = received
    assert (announced.job_id, announced.after, announced.seq) == (theirs.job_id, 0, theirs.version)
    assert (announced.namespace, announced.job_type) == ("default", "refund")
    assert announced.ready_at == theirs.ready_at
    assert mine.job_id != theirs.job_id


async def test_events_of_a_lost_announcement_are_delivered_with_the_next(two: tuple[Node, Node]) -> None:
    """An announcement was lost, and the next one names only the later events."""
    here, there = two
    job, prompt = await there.waiting()
    await until(lambda: here.prompt_states(prompt.prompt_id), "the prompt is delivered")
    silent = there.feed.wakeups
    own, silent.send = silent.send, lambda announced: None  # type: ignore[method-assign]
    await there.answer(prompt)
    silent.send = own  # type: ignore[method-assign]
    await there.do(there.progress_command(job, 1))
    answered = PromptState.ANSWERED
    await until(lambda: here.prompt_states(prompt.prompt_id)[-1] is answered, "the answer is delivered")


@pytest.mark.parametrize("known", [True, False])
async def test_an_announcement_older_than_a_local_commit_is_still_read(
    here: Node, there: Node, known: bool
) -> None:
    """A prompt is answered on the other replica, and progress is written here before that is announced."""
    job, prompt = await there.waiting()
    await here.catch_up()
    if not known:
        here.bus._versions.clear()
    await there.answer(prompt)
    await here.do(here.progress_command(job, 1))
    assert here.prompt_states(prompt.prompt_id)[-1] is PromptState.PENDING
    here.feed.receive([Announcement(job.job_id, 3, 4)])
    await here.feed._read_news()
    assert here.prompt_states(prompt.prompt_id)[-1] is PromptState.ANSWERED
    assert here.received[-1].job.version == 5


async def test_a_job_first_seen_in_an_announcement_hides_no_earlier_events(
    pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier events are still delivered from the log, although a newer job was delivered."""

    async def read_nothing() -> bool:
        return False

    async with (
        node(pg_url, poll=NEVER) as there,
        node(pg_url, poll=NEVER) as here,
        AsyncExitStack() as running,
    ):
        # From the start: a listener that has connected lets the log be read, which may take until the prompts
        # are there.
        own = here.feed.read
        monkeypatch.setattr(here.feed, "read", read_nothing)
        await running.enter_async_context(awake(here))
        await until(are_live(here), "it listens")
        job = await there.lease_new_job()
        prompts = [await there.ask(job, f"k{i}") for i in range(3)]
        here.feed.receive([Announcement(job.job_id, 4, 5)])
        await until(lambda: here.prompt_states(prompts[2].prompt_id), "the last prompt is delivered")
        assert not here.prompt_states(prompts[0].prompt_id)
        monkeypatch.setattr(here.feed, "read", own)
        await here.catch_up()
        for prompt in prompts:
            assert here.prompt_states(prompt.prompt_id)


async def test_late_answers_and_deletions_on_another_replica_are_delivered_as_such(
    here: Node, there: Node
) -> None:
    """From the log, on each database."""
    job, prompt = await here.waiting()
    await here.answer(prompt)
    await here.complete(job)
    known = await here.create()
    unknown = await there.create()
    await here.catch_up()
    await there.answer(prompt, "late", principal=BOB)
    for deleted in (known, unknown):
        await there.do(c.CancelJob(principal=CLIENT, job_id=deleted.job_id))
        await there.do(c.DeleteJob(principal=CLIENT, job_id=deleted.job_id))
    here.hot.drop(unknown.job_id)
    await here.catch_up()
    [late] = [item for item in here.received if item.late]
    assert (late.job.job_id, late.late, late.events) == (job.job_id, {prompt.prompt_id}, ())
    ended: dict[str, Job] = {item.job.job_id: item.job for item in here.received if item.deleted}
    assert set(ended) == {known.job_id, unknown.job_id}
    assert here.hot.peek(known.job_id) is None
    assert {job.version for job in ended.values()} == {3}


async def test_a_reconnected_listener_reads_the_events_it_missed(
    two: tuple[Node, Node], pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = two
    listener = here.feed.wakeups
    assert isinstance(listener, PostgresWakeups)
    own, gate = listener._connect, asyncio.Event()

    @asynccontextmanager
    async def connect(name: str) -> AsyncIterator[Any]:
        await gate.wait()
        async with own(name) as connection:
            yield connection

    monkeypatch.setattr(listener, "_connect", connect)
    assert await kill(pg_url, "askback listener") == 2
    await until(lambda: not listener.live, "the listener is down")
    job, prompt = await there.waiting()
    await until(lambda: not there.feed.wakeups._pending, "the announcement is sent without a listener")  # type: ignore[attr-defined]
    gate.set()
    await until(lambda: here.prompt_states(prompt.prompt_id), "the prompt is delivered")
    assert job.job_id


@pytest.mark.parametrize("name", ["askback listener", "askback wake-ups"])
async def test_a_killed_wakeup_connection_is_reopened(
    two: tuple[Node, Node], pg_url: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = two
    first = await backends(pg_url, name)
    assert len(first) == 2
    assert await kill(pg_url, name) == 2

    async def both_have_reconnected() -> bool:
        now = await backends(pg_url, name)
        return len(now) == 2 and not set(now) & set(first)

    # The sender notices a broken connection when it sends, the listener by its own test message.
    await until(both_have_reconnected, "both have reconnected")
    await until(are_live(here, there), "they get each other's announcements again")
    job = await there.create()
    await until(
        lambda: job.job_id in {item.job.job_id for item in here.received}, "announcements are received again"
    )
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


async def test_a_hanging_listener_is_noticed_and_reconnects(
    pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is cut silently: without its own check the driver would wait for good."""
    monkeypatch.setattr(postgres_wakeups, "ECHO_SECONDS", 0.5)
    relay = PgRelay(pg_url)
    async with relay.serve() as through, node(pg_url) as there, _listener(through) as (announced, listener):
        relay.freeze()
        await until(lambda: not listener.live, "the listener has noticed")
        relay.thaw()
        await until(lambda: listener.live, "it has a new connection")
        announced.clear()
        async with awake(there):
            job = await there.create()
            await until(
                lambda: job.job_id in {item.job_id for item in announced}, "announcements are received again"
            )


@asynccontextmanager
async def _listener(url: str) -> AsyncIterator[tuple[list[Announcement], PostgresWakeups]]:
    """Run only the wake-ups. Yields the received announcements and the wake-ups."""
    database = await Database.open(url)
    listener = database.wakeups
    assert isinstance(listener, PostgresWakeups)
    announced: list[Announcement] = []
    running = asyncio.create_task(listener.run(announced.extend))
    try:
        await until(lambda: listener.live, "it listens")
        yield announced, listener
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await database.close()


async def test_behind_a_pooler_that_drops_notifications_polling_is_enough(
    pg_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_wakeups, "ECHO_SECONDS", 0.1)
    caplog.set_level(logging.INFO)
    relay = PgRelay(pg_url)
    relay.drops_notifications = True
    async with AsyncExitStack() as stack:
        through = await stack.enter_async_context(relay.serve())
        here, there = [await stack.enter_async_context(node(url)) for url in (through, pg_url)]
        # A tenth of a second may be too short for its tests too.
        monkeypatch.setattr(there.feed.wakeups, "_warned_silent", True)
        await stack.enter_async_context(awake(here, there))
        await until(lambda: "polling" in caplog.text, "the listener logs that it polls")
        opened = relay.opened
        await until(lambda: relay.opened > opened + 2, "the listener has tried again")
        job, prompt = await there.waiting()
        await there.answer(prompt)
        answered = PromptState.ANSWERED
        await until(lambda: here.prompt_states(prompt.prompt_id)[-1:] == [answered], "polling finds it")
        assert not here.feed.wakeups.live
        # Its own announcements still reach the other replica.
        mine = await here.create()
        await until(
            lambda: mine.job_id in {item.job.job_id for item in there.received},
            "the announcement is received",
        )
    warnings = [r for r in caplog.records if r.levelno >= logging.WARNING and "NOTIFY" in r.message]
    assert len(warnings) == 1
    assert job.job_id


async def test_announcements_are_divided_among_notifications_of_bounded_size(pg_url: str) -> None:
    database = await Database.open(pg_url)
    try:
        sender = database.wakeups
        assert isinstance(sender, PostgresWakeups)
        many = [Announcement(uuid7(), 10**6, 10**6 + 1, "default", "refund") for _ in range(200)]
        payloads = sender._payloads("", many)
        assert 1 < len(payloads) < 5
        assert max(map(len, payloads)) < MAX_PAYLOAD_BYTES
        parsed = [a for payload in payloads for a in from_texts(payload.split(" ", 2)[2])]
        assert parsed == many
        # An announcement that is too large for one notification says only that the job has changed.
        prompts = tuple(AnnouncedPrompt(uuid7(), frozenset({EVERYONE})) for _ in range(100))
        [payload] = sender._payloads("", [replace(many[0], prompts=prompts)])
        assert from_texts(payload.split(" ", 2)[2]) == [Announcement(many[0].job_id, 10**6, 10**6 + 1)]
        # Those that wait are bounded too, if nothing can be sent for long: then the log is read.
        sender.send(Announcement(uuid7(), 1, 2) for _ in range(5000))
        assert len(sender._pending) == 1000
        assert sender._payloads("", ())[-1].endswith("jobs []")
    finally:
        await database.close()


async def test_pending_announcements_are_sent_by_one_statement(pg_url: str) -> None:
    """Those that arrive during a send are merged, with the whole span of each job."""
    sent: list[list[str]] = []
    gate = asyncio.Event()

    class Connection:
        async def execute(self, statement: str, channel: str, payloads: list[str], **_: Any) -> None:
            sent.append(payloads)
            await gate.wait()

    @asynccontextmanager
    async def connect(name: str) -> AsyncIterator[Any]:
        yield Connection()

    sender = PostgresWakeups(connect)
    sending = asyncio.create_task(sender._send_all())
    sender.send([Announcement("one", 0, 1)])
    await until(lambda: sent, "the first goes out at once")
    sender.send([Announcement("one", 1, 2), Announcement("two", 4, 6)])
    sender.send([Announcement("two", 6, 7), Announcement("one", 2, 5)])
    gate.set()
    await until(lambda: len(sent) == 2, "the rest goes out")
    [payload] = sent[1]
    assert payload.split(" ", 1)[1] == 'jobs [["one",1,5],["two",4,7]]'
    sender.send(Announcement(uuid7(), 0, 1) for _ in range(500))
    await until(lambda: len(sent) == 3, "many are sent too")
    assert len(sent[2]) > 1
    assert sum(payload.count('"') // 2 for payload in sent[2]) == 500
    gc.collect()
    mine = [o for o in gc.get_objects() if isinstance(o, Announcement) and o.job_id in ("one", "two")]
    assert mine == [], "the sender keeps none"
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


async def test_a_bare_announcement_triggers_a_read_of_the_log(two: tuple[Node, Node]) -> None:
    here, there = two
    silent = there.feed.wakeups
    silent.send = lambda announced: None  # type: ignore[method-assign]
    job = await there.create()
    here.feed.receive([])
    await until(
        lambda: job.job_id in {item.job.job_id for item in here.received}, "the job is read from the log"
    )


def is_closed(at: Node, prompt_id: str) -> bool:
    shown = [(p.prompt_id, p.state) for changed in at.changed for p in changed.prompts]
    return (prompt_id, PromptState.ANSWERED) in shown


async def test_a_notification_that_no_replica_has_sent_silences_no_job(pg_url: str) -> None:
    """Any role of the database may send one. A change of the job that it names is late at most."""
    forged = '[["{}",0,"7"]]', '[["x",0,7]]', '[["{}",0,999999]]', '[["{}",0,999999,"default","t",null,0,[]]]'
    async with node(pg_url, poll=0.05) as here, node(pg_url, poll=0.05) as there, awake(here, there):
        await until(are_live(here, there))
        connection = await asyncpg.connect(pg_url.replace("+asyncpg", ""))
        try:
            for text in forged:
                _, prompt = await here.waiting()
                said = f"feedbeef jobs {text.replace('{}', prompt.job_id)}"
                await connection.execute("SELECT pg_notify($1, $2)", postgres_wakeups.CHANNEL, said)
                await here.answer(prompt)
                await until(partial(is_closed, there, prompt.prompt_id))
        finally:
            await connection.close()


async def test_of_jobs_returns_the_changes_of_the_given_jobs_only(database: Database) -> None:
    """The read that an announcement triggers: by job and sequence number, independent of the log's order."""
    one, two, other = new_job(), new_job(), new_job()
    await database.jobs.write([creation(job) for job in (one, two, other)])
    await database.jobs.write([step(one), step(two)])
    found = await database.feed.of_jobs({one.job_id: 1, two.job_id: 0, uuid7(): 0})
    assert {(change.job_id, change.seq) for change in found} == {(one.job_id, 2), (two.job_id, 2)}
    assert await database.feed.of_jobs({one.job_id: 2}) == []
    assert await database.feed.of_jobs({}) == []
