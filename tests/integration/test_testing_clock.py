"""The clock of a test: time leaps, due events run in order, and leases are kept."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from askback import After, Job, JobFailed, JobState, PromptExpired, Remind, Run, Worker
from askback.testing import Clock, Human, Server
from tests.support.waiting import until

worker = Worker(capacity=20)
HOURS = 3600.0


@worker.job("patient")
async def patient(job: Job, hours: float, then: float = 0.0) -> list[str]:
    told = []
    for name, wait in (("first", hours), ("then", then)):
        if wait:
            try:
                told.append(await job.ask(f"{name}?", key=name, deadline=timedelta(hours=wait)))
            except PromptExpired:
                told.append(f"no {name}")
    return told


@worker.job("clumsy")
async def clumsy(job: Job) -> int:
    if job.attempt < 3:
        raise ConnectionError("once more")
    return job.attempt


@worker.job("busy")
async def busy(job: Job) -> None:
    await asyncio.Event().wait()


@worker.job("confirm_by_default")
async def confirm_by_default(job: Job) -> str:
    ok = await job.confirm("Go?", key="go", deadline=timedelta(days=2), default=False)
    return f"{ok.decision} by {ok.by or 'nobody'}, default {ok.by_default}"


async def seconds_to_end(run: Run, key: str, server: Server) -> float:
    """Seconds from a question to its resolution by the server's clock."""
    async with server.client() as client:
        prompt = await client.prompt(job_id=run.job_id, key=key)
    assert prompt.resolution is not None
    assert prompt.resolution.at is not None
    assert prompt.created_at is not None
    return (prompt.resolution.at - prompt.created_at).total_seconds()


async def test_deadlines_are_run_in_order_each_at_its_time(
    human: Human, clock: Clock, askback_server: Server
) -> None:
    human.on().never()
    runs = [await patient.start(hours=hours, then=2 * hours) for hours in (1, 3)]
    await clock.advance(hours=12)
    for run, hours in zip(runs, (1, 3), strict=True):
        assert await run.result() == ["no first", "no then"]
        # The second question began when the first one ended, and not at the end of the leap.
        assert await seconds_to_end(run, "first", askback_server) == pytest.approx(hours * HOURS, abs=60)
        assert await seconds_to_end(run, "then", askback_server) == pytest.approx(2 * hours * HOURS, abs=60)


async def test_a_leap_in_time_keeps_leases(human: Human, clock: Clock) -> None:
    human.on("first").never().answers("late but fine")
    run = await patient.start(hours=24 * 300)
    for _ in range(3):
        await clock.advance(days=30)
    job = await run.job()
    assert (job.state, job.attempt) == (JobState.PENDING_HITL, 1)
    assert job.worker_id, "the worker holds it still"
    await clock.advance(days=211)
    assert await run.result() == ["no first"]
    assert [event.type async for event in run.watch()].count("JOB_LEASED") == 1


async def test_a_vanished_worker_loses_its_job_after_a_leap(clock: Clock, askback_server: Server) -> None:
    gone = worker.at(askback_server.target)
    await gone.start()
    async with askback_server.client() as client:
        run = await client.start("patient", {"hours": 100})
        await clock.advance()
        assert (await run.job()).worker_id
        # Like a crash: no goodbye, and the stream breaks.
        assert gone._session is not None
        connection = gone._session._current
        assert connection is not None
        assert gone._session._supervisor is not None
        gone._session._supervisor.cancel()
        await connection.abandon()
        keeper = askback_server.replica._service.replica.keeper  # type: ignore[attr-defined]
        await until(lambda: not keeper.present)
        await clock.advance(minutes=59)
        assert (await run.job()).worker_id
        await clock.advance(minutes=2)
        assert not (await run.job()).worker_id
        assert (await run.job()).state is JobState.PENDING_HITL


async def test_a_retry_starts_after_its_backoff(human: Human, clock: Clock) -> None:
    run = await clumsy.start()
    began = clock.now()
    await clock.advance(hours=1)
    assert clock.now() - began >= timedelta(hours=1)
    assert (await run.job()).state is JobState.COMPLETED
    assert await run.result() == 3
    leased = [event.at - began async for event in run.watch() if event.at and event.type == "JOB_LEASED"]
    # Each retry began at the end of its backoff, and not at the end of the leap.
    assert len(leased) == 3
    assert leased[-1] < timedelta(minutes=30)


async def test_a_default_is_taken_at_its_deadline(human: Human, clock: Clock) -> None:
    human.on("go?").never()
    run = await confirm_by_default.start()
    await clock.advance(timedelta(days=2))
    assert await run.result() == "REJECT by nobody, default True"


@worker.job("ask_with_escalation")
async def ask_with_escalation(job: Job) -> str:
    steps = [After(timedelta(hours=n)).to(f"group:level-{n}") for n in (1, 2, 3)]
    try:
        decision = await job.confirm(
            "Refund?",
            key="refund",
            to=["group:desk"],
            deadline=timedelta(hours=4),
            escalate=steps,
            remind=Remind(timedelta(minutes=30), times=3),
        )
    except PromptExpired:
        return "nobody"
    return f"{decision.decision}"


async def test_steps_and_reminders_run_each_at_its_time(human: Human, clock: Clock) -> None:
    human.on("refund").never()
    run = await ask_with_escalation.start()
    for times in (1, 2, 3, 4):
        # Shown again with each step. A console that is slow would get several steps as one change.
        await until(lambda times=times: human.seen == ["refund"] * times)
        await clock.advance(hours=1)
    assert await run.result() == "nobody"
    told = [e async for e in run.watch() if e.prompt_id and e.at]
    began = told[0].at
    assert began is not None
    at = [(e.type.removeprefix("PROMPT_"), round((e.at - began).total_seconds() / 60)) for e in told if e.at]
    assert at[:-1] == [
        ("ASKED", 0),
        ("REMINDED", 30),
        ("ESCALATED", 60),
        ("REMINDED", 60),
        ("REMINDED", 90),
        ("ESCALATED", 120),
        ("ESCALATED", 180),
        ("EXPIRED", 240),
    ]
    [prompt] = human.prompts[:1]
    assert human.seen == ["refund"] * 4
    assert prompt.escalation_step == 0


async def test_people_of_a_later_step_may_answer(human: Human, clock: Clock) -> None:
    human.on("refund").never().approves()
    run = await ask_with_escalation.start()
    await clock.advance(minutes=59)
    assert (await run.job()).state is JobState.PENDING_HITL
    await clock.advance(minutes=1)
    assert await run.result() == "ACCEPT"
    assert human.prompts[-1].escalation_step == 1


async def test_a_job_starts_and_ends_at_its_time(human: Human, clock: Clock) -> None:
    human.on("first").never()
    run = await patient.using(delay=timedelta(hours=3), timeout=timedelta(hours=2)).start(hours=100)
    await clock.advance(hours=2)
    assert (await run.job()).state is JobState.PENDING
    await clock.advance(hours=10)
    job = await run.job()
    assert (job.state, job.failure and job.failure[0]) == (JobState.FAILED, "DEADLINE_EXCEEDED")
    times = {e.type: e.at async for e in run.watch() if e.at}
    at = {kind: time - times["JOB_CREATED"] for kind, time in times.items()}
    assert timedelta(hours=3) <= at["JOB_LEASED"] < timedelta(hours=3, minutes=1)
    assert timedelta(hours=5) <= at["JOB_FAILED"] < timedelta(hours=5, minutes=1)


async def test_time_does_not_pass_while_a_worker_runs(human: Human, clock: Clock) -> None:
    run = await busy.start()
    before = clock.now()
    with pytest.raises(TimeoutError, match=rf"job {run.job_id} \(busy\) is RUNNING"):
        await clock.advance(hours=1, patience=0.2)
    assert clock.now() - before < timedelta(minutes=1)


async def test_advance_waits_for_work_in_progress(human: Human, clock: Clock) -> None:
    # Only these two awaits are between the start and the leap, and the question is still asked in time.
    human.on("first").never()
    run = await patient.start(hours=4)
    await clock.advance(hours=4)
    assert await run.result() == ["no first"]


async def test_without_a_scripted_human_prompts_are_left_unanswered(clock: Clock) -> None:
    run = await patient.start(hours=4)
    await clock.advance(hours=4)
    assert await run.result() == ["no first"]


async def test_an_unexpected_prompt_stops_the_leap(human: Human, clock: Clock) -> None:
    run = await patient.start(hours=4)
    with pytest.raises(AssertionError, match="no fake-human rule"):
        await clock.advance(hours=4)
    with pytest.raises(AssertionError, match="no fake-human rule"):
        await run.result()


async def test_a_leap_over_the_retention_deletes_the_job(
    human: Human, clock: Clock, askback_server: Server
) -> None:
    async with askback_server.client() as client:
        human.on("keep").approves()
        run = await client.ask("Keep?", retention=timedelta(days=7))
        await run.result()
        await clock.advance(days=6)
        assert (await run.job()).state is JobState.COMPLETED
        await clock.advance(days=2)
        with pytest.raises(Exception, match="there is no job"):
            await run.job()


async def test_time_only_moves_forward_and_also_passes_on_its_own(clock: Clock) -> None:
    before = clock.now()
    with pytest.raises(ValueError, match="only goes forward"):
        await clock.advance(hours=-1)
    await clock.advance(days=1, hours=1, minutes=1, seconds=1)
    passed = clock.now() - before
    assert timedelta(0) <= passed - timedelta(days=1, hours=1, minutes=1, seconds=1) < timedelta(minutes=1)
    assert clock.now() < clock.now() + timedelta(seconds=1)


async def test_a_failed_job_does_not_hold_time_up(human: Human, clock: Clock) -> None:
    human.on("first").declines("no")
    run = await patient.start(hours=1)
    await clock.advance(hours=1)
    with pytest.raises(JobFailed):
        await run.result()
