"""A worker's stream retains and counts the jobs that it holds, for as long as people take to answer."""

import gc
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from askback_server.domain.jobs import Job, JobState
from askback_server.domain.limits import Limits
from askback_server.engine.committed import Committed
from askback_server.sessions.work_core import WorkCore
from askback_server.sessions.work_frames import JobLeased

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def job(size: int, job_id: str = "j") -> Job:
    return Job(
        job_id,
        "default",
        "t",
        "ada",
        JobState.RUNNING,
        NOW,
        NOW,
        input_json="x" * size,
        version=2,
        token=1,
        session_id="s",
    )


def test_a_held_job_takes_few_bytes() -> None:
    """Whatever its input; counted in bytes of objects."""
    core, sizes = WorkCore(Limits(), 10.0), []
    tracemalloc.start()
    try:
        for count in (100, 300):
            for number in range(count, 2 * count):
                leased = job(2_000, f"{count}-{number}")
                core.hold(leased, handed_over=False)
                core.apply_commit(Committed(replace(leased, version=3)))
                core.hand_over(JobLeased(leased, (), (), False))
                core.leases.note_received(number)
                core.take(10)
                core.apply_commit(Committed(replace(leased, version=4, state=JobState.PENDING_HITL)))
            del leased
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[1] - sizes[0] < 300 * 600


def test_the_input_of_a_leased_job_is_sent() -> None:
    core, leased = WorkCore(Limits(), 10.0), job(250_000)
    core.hold(leased, handed_over=False)
    core.apply_commit(Committed(replace(leased, version=3)))
    core.hand_over(JobLeased(leased, (), (), False))
    [frame] = core.take(10)
    assert frame.body.job.input_json == leased.input_json
    core.apply_commit(Committed(replace(leased, version=4)))
    assert core.held["j"].lease.version == 4


def test_jobs_that_wait_take_no_room() -> None:
    """Whatever happens to them: they are counted with each change, not when the dispatcher asks."""
    core = WorkCore(Limits(), 10.0)
    core.capacity = 10

    def change(job_id: str, **values: Any) -> int:
        """The room after a change of a job."""
        held = replace(job(0, job_id), version=core.held[job_id].lease.version + 1, **values)
        core.apply_commit(Committed(held))
        assert sum(h.lease.is_running for h in core.held.values()) == core.leases.running
        return core.room()

    for job_id in ("a", "b", "c"):
        core.hold(job(0, job_id))
    assert core.room() == 7
    assert change("a", state=JobState.PENDING_HITL) == 8
    assert change("a", state=JobState.PENDING_HITL, priority=3) == 8
    assert change("b", state=JobState.PENDING_HITL) == 9
    assert change("b") == 8
    core.hold(replace(job(0, "a"), token=2))
    assert core.room() == 7  # leased again: it runs
    core.hold(replace(job(0, "b"), version=9, token=2))
    assert core.room() == 7  # it ran before, too
    assert change("b", token=2, state=JobState.COMPLETED, session_id=None) == 8
    core.forget(core.held["c"])
    assert core.room() == 9
    core.lose_all()
    assert core.room() == 10
