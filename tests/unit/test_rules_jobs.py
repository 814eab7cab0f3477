"""Creating, updating, deleting and purging jobs; jobs without a worker."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.aggregate import Aggregate
from askback_server.domain.commands import PromptRef
from askback_server.domain.decisions import Decision
from askback_server.domain.errors import (
    IdReused,
    IllegalState,
    InvalidField,
    JobNotFound,
    PromptNotFound,
    VersionMismatch,
)
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import AnswerStatus, PromptState
from askback_server.domain.retries import Keep, Retry
from tests.support.aggregates import ADMIN, HOUR, JobWorld, fields_of, question, running, waiting

DAY = timedelta(days=1)


def test_a_new_job_is_pending_and_ready() -> None:
    world = JobWorld()
    reply = world.create(input_json='{ "n": 9007199254740993 }', labels={"a": "b"}, priority=3)
    job = reply.job
    assert (reply.prompt, reply.replayed, world.job) == (None, False, job)
    assert (job.state, job.ready_at, job.version, job.attempt) == (JobState.PENDING, world.now, 1, 1)
    assert (job.namespace, job.user_id, job.max_attempts, job.workerless) == ("default", "carl", 3, False)
    assert (job.input_json, job.labels, job.priority) == ('{ "n": 9007199254740993 }', {"a": "b"}, 3)


def test_an_admin_may_name_the_user() -> None:
    assert JobWorld().create(principal=ADMIN, user_id="ulla").job.user_id == "ulla"
    with pytest.raises(InvalidField) as refused:
        JobWorld().create(user_id="ulla")
    assert fields_of(refused.value) == {"user_id"}


def test_an_equal_request_returns_the_same_job_in_any_state() -> None:
    world = JobWorld()
    first = world.create(request_id="r", labels={"a": "1", "b": "2"}).job
    again = world.create(request_id="r", labels={"b": "2", "a": "1"})
    assert (again.job, again.replayed, world.change) == (first, True, None)
    world.lease().complete()
    again = world.create(request_id="r", labels={"a": "1", "b": "2"})
    assert (again.job, again.replayed) == (world.job, True)


def test_an_equal_request_has_the_labels_of_its_prompt_in_any_order() -> None:
    """The labels of a message are a map, whose order differs between processes."""
    world = JobWorld()
    first = world.create(request_id="r", prompt=question(labels={"a": "1", "b": "2"})).job
    again = world.create(request_id="r", prompt=question(labels={"b": "2", "a": "1"}))
    assert (again.job.job_id, again.replayed) == (first.job_id, True)


@pytest.mark.parametrize(
    "other",
    [
        {"job_type": "other"},
        {"input_json": "2"},
        {"priority": 1},
        {"labels": {"a": "b"}},
        {"max_attempts": 5},
        {"retention": DAY},
        {"retention": HOUR},
        {"prompt": question()},
        {"retry": Retry("job", Keep.NOTHING)},
    ],
)
def test_a_request_id_with_other_content_is_refused(other: dict[str, Any]) -> None:
    world = JobWorld()
    world.create(request_id="r", input_json="1")
    with pytest.raises(IdReused) as refused:
        world.create(**{"request_id": "r", "input_json": "1", **other})
    assert refused.value.metadata == {
        "field": "request_id",
        "value": "r",
        "job_id": world.job.job_id,
    }


def test_a_job_without_a_worker_waits_for_people_from_the_start() -> None:
    world = JobWorld()
    reply = world.create(question(blocking=False), request_id="r")
    assert (reply.job.state, reply.job.workerless) == (JobState.PENDING_HITL, True)
    assert reply.prompt == world.prompt("prompt")
    assert reply.prompt is not None
    assert reply.prompt.content.blocking
    assert world.events() == [EventType.JOB_CREATED, EventType.PROMPT_ASKED]
    again = world.create(question(blocking=False), request_id="r")
    assert (again.job, again.prompt, again.replayed) == (world.job, reply.prompt, True)


def test_the_answer_is_the_result_of_a_job_without_a_worker() -> None:
    world = JobWorld()
    world.create(question(kind="clarify", decisions=()))
    reply = world.answer("a1", "prompt", decision=Decision.RESPOND, comment="blue")
    assert reply.status is AnswerStatus.ACCEPTED
    assert world.state is JobState.COMPLETED
    assert world.events() == [EventType.PROMPT_ANSWERED, EventType.JOB_COMPLETED]
    result = json.loads(world.job.result_json)
    assert (result["decision"], result["comment"], result["user_id"]) == ("RESPOND", "blue", "ann")
    assert (result["state"], result["answer_id"]) == ("ANSWERED", "a1")


def test_a_rejection_is_the_result_of_a_job_without_a_worker() -> None:
    world = JobWorld()
    world.create(question())
    world.answer("a1", "prompt", decision=Decision.REJECT)
    assert world.state is JobState.COMPLETED


def test_withdrawing_its_prompt_cancels_a_job_without_a_worker() -> None:
    world = JobWorld()
    world.create(question())
    world.on_prompt(c.CancelPrompt, "prompt")
    assert (world.state, world.job.result_json) == (JobState.CANCELLED, "")
    assert world.events() == [EventType.PROMPT_CANCELLED, EventType.JOB_CANCELLED]
    assert world.prompt("prompt").state is PromptState.CANCELLED


def test_violations_name_the_fields_of_the_request() -> None:
    with pytest.raises(InvalidField) as refused:
        JobWorld().create(
            question("", priority=5000, parts=()),
            job_type="no type",
            priority=-1001,
            max_attempts=-1,
            labels={"k" * 129: "v"},
            retention=timedelta(days=4000),
            input_json="{",
            request_id="r" * 201,
        )
    assert fields_of(refused.value) == {
        "job_type",
        "priority",
        "max_attempts",
        f"labels[{'k' * 40!r}]",
        "retention",
        "input_json",
        "request_id",
        "prompt.title",
        "prompt.priority",
    }


@pytest.mark.parametrize("situation", ["pending", "waiting", "completed"])
def test_an_update_changes_the_fields_named_in_any_state(situation: str) -> None:
    world = waiting() if situation == "waiting" else running()
    if situation == "pending":
        world.release()
    elif situation == "completed":
        world.complete()
    state = world.state
    values = {"labels": {"x": "y"}, "priority": -5, "promoted": True}
    job = world.on_job(c.UpdateJob, values=values, expected_version=world.job.version)
    assert (job.labels, job.priority, job.promoted, job.state) == ({"x": "y"}, -5, True, state)
    assert world.log[-1].data == {"fields": ["labels", "priority", "promoted"]}
    with pytest.raises(VersionMismatch) as refused:
        world.on_job(c.UpdateJob, values=values, expected_version=world.job.version - 1)
    assert refused.value.metadata == {"version": str(world.job.version)}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"priority": 1001}, "job.priority"),
        ({"labels": {str(i): "" for i in range(33)}}, "job.labels"),
        ({"labels": {"": "x"}}, "job.labels['']"),
        ({"retention": -HOUR}, "job.retention"),
    ],
)
def test_the_fields_of_an_update_are_checked(values: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        running().on_job(c.UpdateJob, values=values)
    assert fields_of(refused.value) == {field}


def test_retention_counts_from_the_end_and_may_change_after_it() -> None:
    world = running(retention=DAY)
    world.tick(HOUR).complete()
    end = world.job.completed_at
    assert end == world.now
    assert world.job.purge_at == end + DAY
    assert world.tick(HOUR).on_job(c.UpdateJob, values={"retention": 2 * HOUR}).purge_at == end + 2 * HOUR
    assert world.guard.not_after == end + DAY
    with pytest.raises(InvalidField, match="longer than 0 s"):
        world.on_job(c.UpdateJob, values={"retention": timedelta(0)})
    job = world.on_job(c.UpdateJob, values={"retention": None})
    assert job.purge_at == end + world.limits.retention_default


def test_a_job_whose_retention_is_over_gets_no_other() -> None:
    """Its deletion in steps may have begun."""
    world = running(retention=DAY)
    world.complete()
    world.tick(DAY)
    with pytest.raises(JobNotFound):
        world.on_job(c.UpdateJob, values={"retention": 2 * DAY})
    assert world.on_job(c.UpdateJob, values={"promoted": True}).promoted, (
        "the rest may change until it is gone"
    )
    assert world.guard.not_after is None


def test_an_ended_job_is_purged_after_its_retention_and_not_before() -> None:
    world = running(retention=DAY)
    world.tick(2 * DAY).on_job(c.PurgeJob)
    assert world.change is None, "a job that has not ended is kept"
    world.complete()
    due = world.job.purge_at
    world.tick(DAY - HOUR).on_job(c.PurgeJob)
    assert world.change is None
    world.tick(HOUR).on_job(c.PurgeJob)
    assert world.guard.not_before == due
    assert world.log[-1].type is EventType.JOB_DELETED
    assert world.aggregate == Aggregate()


def test_only_an_ended_job_can_be_deleted() -> None:
    world = waiting()
    with pytest.raises(IllegalState) as refused:
        world.on_job(c.DeleteJob)
    assert refused.value.metadata == {
        "state": "PENDING_HITL",
        "event": "DELETE",
        "job_id": world.job.job_id,
    }
    job_id, prompt_id = world.complete().job_id, world.prompt().prompt_id
    world.on_job(c.DeleteJob)
    assert world.guard.not_before is None
    ref = PromptRef(prompt_id=prompt_id)
    # The next commands of the same batch see an empty aggregate.
    with pytest.raises(JobNotFound):
        world.on_job(c.DeleteJob, job_id=job_id)
    with pytest.raises(PromptNotFound):
        world.answer(ref=ref)
    with pytest.raises(PromptNotFound):
        world.on_prompt(c.CancelPrompt, ref=ref)
    assert world.expire().change is None
