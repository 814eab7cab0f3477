"""Leases: tokens, sessions, attempts, backoff, parking."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.commands import SessionRef
from askback_server.domain.errors import IllegalState, InvalidField, LeaseLost, SessionNotFound
from askback_server.domain.events import EventType
from askback_server.domain.jobs import Failure, JobState, Progress
from askback_server.domain.replies import JobVersion
from tests.support.aggregates import (
    HOUR,
    OTHER_WORKER,
    S1,
    S2,
    SECOND,
    JobWorld,
    fields_of,
    question,
    running,
    waiting,
)

WRITES: list[tuple[type[c.HolderCommand], dict[str, Any]]] = [
    (c.ReportProgress, {"progress": Progress(1, 2)}),
    (c.AskPrompt, {"key": "new", "content": question()}),
    (c.AcknowledgePrompts, {"prompt_ids": ()}),
    (c.SaveCheckpoint, {"key": "k", "value_json": "1"}),
    (c.CompleteJob, {"result_json": ""}),
    (c.FailJob, {"failure": Failure("E", "m")}),
    (c.ReleaseJob, {}),
]


def test_a_lease_raises_the_token_and_depends_on_the_session() -> None:
    world = JobWorld()
    world.create()
    world.lease(S1)
    job = world.job
    assert (job.state, job.token, job.attempt, job.ready_at) == (JobState.RUNNING, 1, 1, None)
    assert (job.session_id, job.holder, job.worker_id) == (S1.session_id, "wanda", "worker of wanda")
    assert world.guard.session == S1
    assert world.release().lease(S2, OTHER_WORKER).job.token == 2


def test_nothing_is_leased_to_an_expired_session() -> None:
    world = JobWorld()
    world.create()
    world.dead.add(S1.session_id)
    with pytest.raises(SessionNotFound):
        world.lease(S1)
    assert world.lease(S2).state is JobState.RUNNING


@pytest.mark.parametrize(("kind", "fields"), WRITES, ids=lambda p: getattr(p, "__name__", ""))
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("wrong", ["older", "newer", "other worker", "other session", "dead", "parked"])
def test_only_the_holder_writes(
    kind: type[c.HolderCommand], fields: dict[str, Any], waits: bool, wrong: str
) -> None:
    world = running().release().lease(S2)
    assert world.job.token == 2
    if waits:
        world.ask("a")
    match wrong:
        case "older":
            fields = {**fields, "token": 1}
        case "newer":
            fields = {**fields, "token": 3}
        case "other worker":
            fields = {**fields, "principal": OTHER_WORKER}
        case "other session":
            fields = {**fields, "session": S1}
        case "dead":
            world.dead.add(S2.session_id)
        case _:
            world.release()
    with pytest.raises(LeaseLost) as lost:
        world.on_job(kind, **fields)
    assert lost.value.metadata["job_id"] == world.job.job_id


@pytest.mark.parametrize(("kind", "fields"), WRITES, ids=lambda p: getattr(p, "__name__", ""))
def test_every_write_depends_on_the_session(kind: type[c.HolderCommand], fields: dict[str, Any]) -> None:
    for session, expected in [(None, SessionRef(S1.session_id, 0)), (SessionRef(S1.session_id, 5),) * 2]:
        world = waiting()
        world.answer()
        if kind is c.AcknowledgePrompts:
            fields = {"prompt_ids": (world.prompt().prompt_id,)}
        world.on_job(kind, session=session, **fields)
        assert world.guard.session == expected


def test_the_backoff_of_a_retryable_failure_grows() -> None:
    world = running(max_attempts=12)
    waits = []
    for _ in range(11):
        job = world.fail()
        assert job.ready_at is not None
        waits.append((job.ready_at - world.now) / SECOND)
        with pytest.raises(IllegalState, match="not ready"):
            world.tick(job.ready_at - world.now - timedelta(microseconds=1)).lease()
        world.tick(timedelta(microseconds=1)).lease()
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert (world.job.attempt, world.job.token) == (12, 12)


def test_the_last_attempt_fails_the_job() -> None:
    world = running(max_attempts=2)
    job = world.fail()
    assert (job.state, job.attempt, job.failure) == (JobState.PENDING, 2, Failure("E", "no"))
    assert world.events() == [EventType.JOB_RETRIED]
    job = world.tick(HOUR).lease().fail()
    assert (job.state, job.attempt, job.completed_at) == (JobState.FAILED, 2, world.now)


def test_a_failure_that_is_not_retryable_fails_the_job() -> None:
    job = running().fail(retryable=False)
    assert (job.state, job.attempt, job.failure) == (JobState.FAILED, 1, Failure("E", "no"))


def test_the_worker_may_choose_the_retry_delay() -> None:
    world = running()
    assert world.fail(retry_delay=HOUR).ready_at == world.now + HOUR
    for wrong in (timedelta(0), -HOUR):
        with pytest.raises(InvalidField, match="longer than 0 s"):
            running().fail(retry_delay=wrong)


def test_a_lost_lease_counts_as_an_attempt() -> None:
    world = running(max_attempts=2).lose()
    job = world.job
    assert (job.state, job.attempt, job.session_id) == (JobState.PENDING, 2, None)
    assert job.ready_at == world.now + SECOND
    assert job.failure is not None
    assert job.failure.code == "LEASE_LOST"
    world.tick(HOUR).lease(S2).lose(S2)
    assert (world.state, world.job.attempt) == (JobState.FAILED, 2)
    assert world.job.failure is not None
    assert world.job.failure.code == "LEASE_LOST"


def test_waiting_for_people_never_counts_as_an_attempt() -> None:
    world = waiting(max_attempts=1)
    for _ in range(5):
        world.release()
        assert (world.state, world.job.attempt, world.job.session_id) == (JobState.PENDING_HITL, 1, None)
        world.answer("a", world.job.rounds * "a")
        assert (world.state, world.job.ready_at) == (JobState.PENDING, world.now)
        world.lease().ask((world.job.rounds + 1) * "a")
        world.lose()
        assert (world.state, world.job.attempt, world.job.session_id) == (JobState.PENDING_HITL, 1, None)
        assert world.events() == [EventType.JOB_LEASE_LOST]
        world.answer("a", world.job.rounds * "a")
        world.lease().release()
        assert (world.state, world.job.attempt) == (JobState.PENDING, 1)
        world.lease().ask((world.job.rounds + 1) * "a")
    assert world.job.token == 16


def test_a_retryable_failure_keeps_open_prompts_open() -> None:
    world = waiting(max_attempts=2)
    job = world.fail()
    assert (job.state, job.attempt, job.session_id) == (JobState.PENDING_HITL, 2, None)
    assert world.prompt().is_open
    world.answer()
    assert world.state is JobState.PENDING
    asked = world.lease(S2).ask("a")
    assert asked.replayed
    assert asked.prompt.resolution is not None


def test_only_the_session_that_holds_the_job_can_lose_it() -> None:
    world = running().lose(S2)
    assert (world.change, world.state) == (None, JobState.RUNNING)
    world.lose().tick(HOUR).lease(S2).lose(S1)
    assert (world.change, world.state) == (None, JobState.RUNNING)


def test_a_result_ends_the_job_and_its_prompts_and_may_be_repeated() -> None:
    world = waiting()
    world.ask("b", question("Aside?", blocking=False))
    job = world.complete('{"total": 9007199254740993}')
    assert (job.state, job.result_json) == (JobState.COMPLETED, '{"total": 9007199254740993}')
    assert world.events() == [
        EventType.PROMPT_CANCELLED,
        EventType.PROMPT_CANCELLED,
        EventType.JOB_COMPLETED,
    ]
    reasons = {p.resolution.reason for p in world.aggregate.prompts.values() if p.resolution}
    assert reasons == {"the job completed"}
    assert world.complete(token=1) == job
    assert world.change is None
    with pytest.raises(LeaseLost):
        world.complete(token=2)


def test_completing_a_job_without_a_worker_is_refused() -> None:
    world = JobWorld()
    world.create(question())
    with pytest.raises(LeaseLost):
        world.complete(token=0)
    world.answer(key="prompt")
    with pytest.raises(LeaseLost):
        world.complete(token=0)


def test_progress_is_derived_and_bounded() -> None:
    world = running()
    for given, percent in [(Progress(1, 4), 25.0), (Progress(9, 3), 100.0), (Progress(1, 4, 7.5), 7.5)]:
        assert world.on_job(c.ReportProgress, progress=given) == JobVersion(world.job.version)
        assert world.job.progress is not None
        assert world.job.progress.percent == percent
    wrong = Progress(-1, 2**53 + 1, float("nan"), "\0")
    with pytest.raises(InvalidField) as refused:
        world.on_job(c.ReportProgress, progress=wrong)
    assert fields_of(refused.value) == {
        "progress.done",
        "progress.total",
        "progress.percent",
        "progress.message",
    }


def test_the_fields_of_a_failure_are_checked() -> None:
    world = running()
    with pytest.raises(InvalidField) as refused:
        world.on_job(c.FailJob, failure=Failure("no code", "\0", "{"), retryable=True, retry_delay=-SECOND)
    assert fields_of(refused.value) == {
        "failure.code",
        "failure.message",
        "failure.details_json",
        "retry_delay",
    }
    assert world.on_job(c.FailJob, failure=Failure("", "m")).failure == Failure("FAILED", "m")


def test_a_checkpoint_is_kept_as_it_was_sent() -> None:
    world = running()
    reply = world.on_job(c.SaveCheckpoint, key="step 1", value_json='{ "n": 18446744073709551615 }')
    assert world.change is not None
    (saved,) = world.change.checkpoints
    assert (saved.key, saved.value_json) == ("step 1", '{ "n": 18446744073709551615 }')
    assert (saved.created_at, JobVersion(world.job.version)) == (world.now, reply)
    for fields in ({"key": "", "value_json": "1"}, {"key": "k", "value_json": ""}):
        with pytest.raises(InvalidField):
            world.on_job(c.SaveCheckpoint, **fields)
