"""Timers of replicas on one database: each step, reminder and deadline fires once and never early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.content import Audience, EscalationStep, FinalAction, PromptContent, Reminders
from askback_server.domain.errors import LeaseLost
from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import Job, JobState
from askback_server.domain.limits import Limits
from askback_server.domain.prompts import AnswerStatus, Prompt
from askback_server.engine import timers as timers_module
from askback_server.engine.timers import Timers
from askback_server.ports.storage import JobWrite, Lost
from tests.support.aggregates import BOB, question
from tests.support.storage import (
    LONG,
    DelegatingStore,
    GatedStore,
    Node,
    check_job,
    get_job,
    node,
    whole,
)
from tests.support.waiting import until

TENTH = timedelta(seconds=0.1)
LIMITS = Limits(reminder_min=TENTH)
ESCALATED, EXPIRED = EventType.PROMPT_ESCALATED, EventType.PROMPT_EXPIRED


def law_audience(*users: str) -> Audience:
    return Audience(users=frozenset(users), groups=frozenset({"law"}))


def steps(*tenths: int, unit: timedelta = TENTH) -> tuple[EscalationStep, ...]:
    return tuple(EscalationStep(n * unit, Audience(frozenset({f"u{n}"}))) for n in tenths)


def escalating(*tenths: int, **fields: Any) -> PromptContent:
    return question(**{"audience": law_audience(), "escalation": steps(*tenths), **fields})


@asynccontextmanager
async def running_timers(here: Node, feed: bool = True) -> AsyncIterator[Timers]:
    """Run the node's timers, and its feed, which tells them what other replicas commit."""
    timers = Timers(here.engine, here.database.queue, here.clock)
    here.bus.follow_batches(timers.on_commit)
    running = [asyncio.create_task(timers.run())]
    if feed:
        running.append(asyncio.create_task(here.feed.run()))
    try:
        yield timers
    finally:
        for task in running:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def of_prompt(here: Node, prompt: Prompt) -> list[Event]:
    """Check the job's invariants. Returns the events of the prompt."""
    _, events = await check_job(here.database, prompt.job_id)
    return [e for e in events if e.prompt_id == prompt.prompt_id]


def are_closed(here: Node, prompts: Sequence[Prompt]) -> Any:
    async def all_closed() -> bool:
        stored = await here.database.jobs.get_prompts([p.prompt_id for p in prompts])
        return not any(p.is_open for p in stored)

    return all_closed


async def check_events(here: Node, prompt: Prompt, *tenths: int) -> None:
    """Each step happened once, in order and not early by the database's clock, followed by the expiry."""
    asked, *taken, end = await of_prompt(here, prompt)
    assert [e.type for e in taken] == [ESCALATED] * len(tenths)
    assert [(e.data or {})["step"] for e in taken] == list(range(1, len(tenths) + 1))
    assert end.type is EXPIRED
    for event, n in zip(taken, tenths, strict=True):
        assert event.at >= asked.at + n * TENTH
    assert prompt.expires_at is not None
    assert end.at >= prompt.expires_at


async def test_each_escalation_step_happens_once_on_two_replicas(here: Node, there: Node) -> None:
    async with running_timers(here), running_timers(there):
        prompts = []
        for i in range(12):
            _, prompt = await (here, there)[i % 2].waiting(escalating(1, 2, 4, timeout=6 * TENTH))
            prompts.append(prompt)
        await until(are_closed(here, prompts), "all are closed")
    for prompt in prompts:
        await check_events(here, prompt, 1, 2, 4)


async def test_a_deadline_known_only_to_a_dead_replica_fires(here: Node, migrated_db_url: str) -> None:
    """The replica that created it has died, and the feed has not reported it: polling finds it."""
    async with running_timers(here, feed=False) as timers:
        async with node(migrated_db_url) as dying:
            _, prompt = await dying.waiting(escalating(4, 6, timeout=8 * TENTH))
        assert prompt.prompt_id not in {p.prompt_id for item in here.received for p in item.prompts}
        await until(are_closed(here, [prompt]), "it is closed")
        assert len(timers) == 0
    await check_events(here, prompt, 4, 6)


async def test_deadlines_are_in_memory_only_when_they_are_near(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a commit nor the reply to a timer adds a far deadline; the poll finds it when it is near."""
    monkeypatch.setattr(timers_module, "LOOKAHEAD", 2 * TENTH)
    monkeypatch.setattr(timers_module, "POLL_SECONDS", 0.05)
    async with running_timers(here, feed=False) as timers:
        for _ in range(20):
            await here.create(question(timeout=LONG), timeout=2 * LONG)
        assert len(timers) == 0
        near, far = EscalationStep(TENTH, law_audience("bob")), EscalationStep(LONG, law_audience("eve"))
        _, stepping = await here.waiting(question(audience=law_audience(), escalation=(near, far)))
        await until(partial(_has_stepped, here, stepping), "the first step is taken")
        assert len(timers) == 0
        _, ending = await here.waiting(escalating(timeout=5 * TENTH))
        await until(are_closed(here, [ending]), "it is closed")
        assert len(timers) == 0
    await check_events(here, ending)


async def _has_stepped(here: Node, prompt: Prompt) -> bool:
    return await _step_of(here, prompt) > 0


async def test_timers_missed_while_no_replica_ran_fire_in_the_order_of_their_times(
    migrated_db_url: str,
) -> None:
    async with node(migrated_db_url, limits=LIMITS) as first:
        job, one = await first.waiting(escalating(1, 3, timeout=5 * TENTH))
        two = await first.ask(job, "b", escalating(2, 4, reminders=Reminders(LONG, 2.5 * TENTH)))
        # On a busy machine the second may be asked later than a step of the first is due.
        due = [(one.created_at + n * TENTH, ESCALATED, one.prompt_id) for n in (1, 3)]
        due += [(two.created_at + n * TENTH, ESCALATED, two.prompt_id) for n in (2, 4)]
        due += [(two.created_at + 2.5 * TENTH, EventType.PROMPT_REMINDED, two.prompt_id)]
        due += [(one.created_at + 5 * TENTH, EXPIRED, one.prompt_id)]
        due.sort()

        async def is_due() -> bool:
            return await first.database.ping() > due[-1][0]

        # Its timers do not run, as if no replica were up.
        await until(is_due, "all timers are due")
    async with node(migrated_db_url, limits=LIMITS) as second, running_timers(second) as timers:

        async def timed_events() -> list[tuple[EventType, str]]:
            _, events = await check_job(second.database, job.job_id)
            return [
                (e.type, e.prompt_id) for e in events if e.prompt_id and e.type is not EventType.PROMPT_ASKED
            ]

        async def all_have_fired() -> bool:
            return len(await timed_events()) == len(due)

        await until(all_have_fired, "all due timers have fired")
        assert len(timers) <= 2, "one timer for the next event of the other prompt, and one from polling"
        assert await timed_events() == [(what, prompt_id) for _, what, prompt_id in due]


async def test_a_fast_clock_does_not_fire_a_timer_early(migrated_db_url: str) -> None:
    """The guard fails with TIME, which corrects the clock, and the command is decided again."""
    lost: list[Lost] = []

    class RecordingStore(DelegatingStore):
        async def write(self, batch: Sequence[JobWrite]) -> Any:
            written = await super().write(batch)
            lost.extend(written.lost.values())
            return written

    async with node(migrated_db_url, wrap=RecordingStore) as here:
        job, prompt = await here.waiting(question(audience=law_audience(), escalation=steps(1, 2, unit=LONG)))
        nudges = prompt.nudges
        assert nudges is not None
        here.clock.observe(here.clock.now() + 3 * LONG)
        assert await here.do(c.RunDue(job_id=job.job_id)) == nudges.step_at
        assert lost == [Lost.TIME]
        assert here.clock.now() < nudges.step_at  # type: ignore[operator]
        # A fast clock must not widen the audience or refuse an answer either.
        here.clock.observe(here.clock.now() + 3 * LONG)
        assert (await here.answer(prompt)).status is AnswerStatus.ACCEPTED
        events = await of_prompt(here, prompt)
        assert ESCALATED not in [e.type for e in events]


async def test_a_slow_clock_does_not_fire_a_timer_late(here: Node, there: Node) -> None:
    """A replica that writes nothing learns the time by polling."""
    here.clock.observe(here.clock.now() - LONG)
    async with running_timers(here, feed=False):
        _, prompt = await there.waiting(escalating(1, timeout=2 * TENTH))
        await until(are_closed(there, [prompt]), "it is closed")
    await check_events(here, prompt, 1)


async def test_an_answer_racing_with_an_escalation_step_ends_the_prompt_once(here: Node, there: Node) -> None:
    """In either order of the commits the log has no gap."""
    async with running_timers(here), running_timers(there):
        prompts = []
        for i in range(10):
            _, prompt = await here.waiting(escalating(1, timeout=LONG))
            await asyncio.sleep(0.09 + i * 0.002)
            assert (await there.answer(prompt, "a1")).status is AnswerStatus.ACCEPTED
            prompts.append(prompt)
        await until(are_closed(here, prompts), "all are answered")
    for prompt in prompts:
        kinds = [e.type for e in await of_prompt(here, prompt)]
        assert kinds in (
            [EventType.PROMPT_ASKED, EventType.PROMPT_ANSWERED],
            [EventType.PROMPT_ASKED, ESCALATED, EventType.PROMPT_ANSWERED],
        )


async def test_a_user_added_by_a_step_on_another_replica_may_answer_here(here: Node, there: Node) -> None:
    """This replica's memory does not know the step yet, so it reads the database before it refuses."""
    _, prompt = await here.waiting(
        question(audience=law_audience(), escalation=(EscalationStep(TENTH, law_audience("bob")),))
    )
    async with running_timers(there, feed=False):
        await until(lambda: _step_of(there, prompt), "the step is taken")
    assert (await here.answer(prompt, principal=BOB)).status is AnswerStatus.ACCEPTED


async def _step_of(here: Node, prompt: Prompt) -> int:
    [stored] = await here.database.jobs.get_prompts([prompt.prompt_id])
    return stored.nudges.steps if stored.nudges else 0


async def test_a_timer_that_is_being_executed_is_not_fired_again(
    migrated_db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is slow, and every poll finds the same deadlines due."""
    monkeypatch.setattr(timers_module, "POLL_SECONDS", 0.001)
    async with node(migrated_db_url, wrap=GatedStore) as here:
        prompts = [(await here.waiting(escalating(5, timeout=6 * TENTH)))[1] for _ in range(3)]
        own, sent = here.engine.execute, []

        async def execute(command: Any) -> Any:
            sent.append(command.job_id)
            return await own(command)

        here.engine.execute = execute  # type: ignore[method-assign]
        here.store.gate.clear()
        async with running_timers(here):
            await asyncio.wait_for(here.store.waiting.wait(), 30)
            last = max(p.expires_at for p in prompts if p.expires_at)
            await until(
                lambda: here.clock.now() > last + TENTH, "all timers are due, and are found repeatedly"
            )
            assert sorted(sent) == sorted({p.job_id for p in prompts})
            here.store.gate.set()
            await until(are_closed(here, prompts), "all are closed")
    assert all(p.content.final_action is FinalAction.EXPIRE for p in prompts)


async def test_two_replicas_send_each_reminder_once(migrated_db_url: str) -> None:
    content = question(reminders=Reminders(every=2 * TENTH, after=TENTH, maximum=3), timeout=LONG)
    async with node(migrated_db_url, limits=LIMITS) as here, node(migrated_db_url, limits=LIMITS) as there:
        async with running_timers(here), running_timers(there):
            _, prompt = await here.waiting(content)

            async def has_reminded() -> bool:
                [stored] = await here.database.jobs.get_prompts([prompt.prompt_id])
                return stored.nudges is not None and stored.nudges.reminded == 3

            await until(has_reminded, "three reminders")
        asked, *rest = await of_prompt(here, prompt)
        assert [e.type for e in rest] == [EventType.PROMPT_REMINDED] * 3
        assert [(e.data or {})["count"] for e in rest] == [1, 2, 3]
        for event, after in zip(rest, (1, 3, 5), strict=True):
            assert event.at >= asked.at + after * TENTH
        aggregate, _ = await whole(here.database, prompt.job_id)
        assert aggregate.prompts[prompt.prompt_id].revision == 1


async def _has_failed(here: Node, job_id: str) -> bool:
    return (await get_job(here.database, job_id)).state is JobState.FAILED


async def test_the_deadline_of_a_job_fires_once_after_its_replica_has_died(
    here: Node, migrated_db_url: str
) -> None:
    async with running_timers(here, feed=False):
        async with node(migrated_db_url) as dying:
            job, prompt = await dying.waiting(question(), timeout=20 * TENTH)
            idle = await dying.create(timeout=20 * TENTH)
        for found in (job, idle):
            await until(partial(_has_failed, here, found.job_id), "its deadline fires")
    for found in (job, idle):
        aggregate, events = await check_job(here.database, found.job_id)
        assert aggregate.job is not None
        assert aggregate.job.failure is not None
        assert aggregate.job.failure.code == "DEADLINE_EXCEEDED"
        assert [e.type for e in events].count(EventType.JOB_FAILED) == 1
        assert found.expires_at is not None
        assert events[-1].at >= found.expires_at
    assert [e.type for e in await of_prompt(here, prompt)][-1] is EventType.PROMPT_CANCELLED


async def test_two_replicas_end_an_attempt_once_at_its_run_timeout(here: Node, there: Node) -> None:
    async with running_timers(here), running_timers(there):
        jobs = [
            await (here, there)[i % 2].lease_new_job(run_timeout=2 * TENTH, max_attempts=1) for i in range(6)
        ]
        asking, prompt = await here.waiting(run_timeout=20 * TENTH, max_attempts=1)
        for job in jobs:
            await until(partial(_has_failed, here, job.job_id), "its attempt is over")
        # Its run time is paused while it waits; those of the others have run out.
        assert (await get_job(here.database, asking.job_id)).state is JobState.PENDING_HITL
        await there.answer(prompt)
        await until(partial(_has_failed, here, asking.job_id), "the clock runs again")
    for job in (*jobs, asking):
        aggregate, events = await check_job(here.database, job.job_id)
        assert aggregate.job is not None
        assert aggregate.job.failure is not None
        assert aggregate.job.failure.code == "RUN_TIMEOUT"
        assert [e.type for e in events].count(EventType.JOB_FAILED) == 1


async def test_a_completion_racing_with_the_deadline_ends_the_job_once(here: Node, there: Node) -> None:
    """The first commit wins."""
    async with running_timers(here), running_timers(there):

        async def end(i: int) -> Job:
            job = await here.lease_new_job(timeout=30 * TENTH)
            assert job.expires_at is not None
            left = (job.expires_at - here.clock.now()).total_seconds()
            await asyncio.sleep(left + (i - 5) * 0.002)
            with suppress(LeaseLost):
                await there.complete(job)
            return job

        jobs = await asyncio.gather(*map(end, range(8)))

        async def all_have_ended() -> bool:
            return all([(await get_job(here.database, job.job_id)).is_terminal for job in jobs])

        await until(all_have_ended, "all have ended")
    for job in jobs:
        _, events = await check_job(here.database, job.job_id)
        ends = [e.type for e in events if e.type in (EventType.JOB_COMPLETED, EventType.JOB_FAILED)]
        assert len(ends) == 1
