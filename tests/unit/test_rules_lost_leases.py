"""Leases whose worker does not run the job: which ones use an attempt, and which stay untouched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from askback_server.domain import commands as c
from askback_server.domain.commands import SessionRef
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState
from askback_server.domain.limits import Limits
from tests.support.aggregates import S1, S2, JobWorld, running, waiting


def drop(world: JobWorld, *, received: bool, token: int | None = None, session: SessionRef = S1) -> JobWorld:
    token = world.job.token if token is None else token
    world.on_job(c.DropLease, token=token, session=session, received=received)
    return world


def test_a_lease_that_was_never_received_is_no_attempt() -> None:
    world = drop(running(max_attempts=1), received=False)
    assert (world.state, world.job.attempt, world.job.ready_at) == (JobState.PENDING, 1, world.now)
    assert (world.job.session_id, world.job.failure) == (None, None)
    assert world.events() == [EventType.JOB_LEASE_LOST]
    assert world.lease().job.token == 2


def test_a_received_job_that_its_worker_does_not_run_used_an_attempt() -> None:
    world = drop(running(max_attempts=2), received=True)
    assert (world.state, world.job.attempt) == (JobState.PENDING, 2)
    assert world.job.failure is not None
    assert world.job.failure.code == "LEASE_LOST"
    world.tick(world.job.ready_at - world.now)  # type: ignore[operator]
    assert drop(world.lease(), received=True).state is JobState.FAILED


@pytest.mark.parametrize("received", [True, False])
def test_a_dropped_job_that_waits_for_people_keeps_waiting(received: bool) -> None:
    world = drop(waiting(max_attempts=1), received=received)
    assert (world.state, world.job.attempt, world.job.session_id) == (JobState.PENDING_HITL, 1, None)


@pytest.mark.parametrize("received", [True, False])
def test_a_dropped_job_with_a_requested_cancel_is_cancelled(received: bool) -> None:
    world = running()
    world.cancel()
    assert drop(world, received=received).state is JobState.CANCELLED


def test_only_the_named_lease_is_dropped() -> None:
    world = running().release().lease(S2)
    before = world.job
    drop(world, received=True, token=1, session=S2)
    drop(world, received=True, session=S1)
    world.dead.add(S2.session_id)
    drop(world, received=True, session=S2)
    assert world.job is before


def test_dropping_depends_on_the_epoch_of_the_reporting_stream() -> None:
    """The worker may have resumed its session on another stream and run the job there."""
    world = drop(running(), received=True)
    assert world.guard.session == S1


def test_an_expired_session_counts_no_attempt_for_what_was_not_received() -> None:
    world = running(max_attempts=1)
    world.on_job(c.LoseSession, session_id=S1.session_id, unreceived=world.job.version)
    assert (world.state, world.job.attempt) == (JobState.PENDING, 1)
    # The holder has written since the reply was sent, so the worker has the job.
    world.lease()
    version = world.job.version
    world.on_job(c.SaveCheckpoint, token=world.job.token, session=S1, key="k", value_json="1")
    world.on_job(c.LoseSession, session_id=S1.session_id, unreceived=version)
    assert world.state is JobState.FAILED


def test_a_job_that_crashes_every_worker_before_its_receipt_fails() -> None:
    world = JobWorld()
    world.limits = replace(Limits(), uncounted_leases=3)
    world.create(max_attempts=2)
    leases = 0
    while world.state is not JobState.FAILED:
        assert leases < 10
        if world.job.ready_at is not None and world.job.ready_at > world.now:
            world.tick(world.job.ready_at - world.now)
        drop(world.lease(), received=False)
        leases += 1
    assert leases == 3 + 2


def test_released_leases_do_not_count_as_lost() -> None:
    """A job with many questions, or with a question that had changed for hours, has had many leases."""
    world = JobWorld()
    world.limits = replace(Limits(), uncounted_leases=3)
    world.create(max_attempts=1)
    for _ in range(5):
        token = world.lease().job.token
        world.on_job(c.ReleaseJob, token=token, session=S1)
    drop(world.lease(), received=False)
    assert (world.state, world.job.attempt) == (JobState.PENDING, 1)
