"""A worker's stream retains little of the jobs that it holds, for as long as people take to answer."""

import gc
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime

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
