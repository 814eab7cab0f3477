"""A worker's stream does not retain the large inputs of the jobs that it holds."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from askback_server.domain.jobs import Job, JobState
from askback_server.domain.limits import Limits
from askback_server.engine.committed import Committed
from askback_server.sessions.work_core import WorkCore
from askback_server.sessions.work_frames import JobLeased

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def job(size: int) -> Job:
    return Job(
        "j",
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


def size_of_kept_texts(core: WorkCore) -> int:
    [held] = core.held.values()
    texts = len(held.job.input_json) + len(held.job.result_json)
    return texts + sum(len(i.job.input_json) + len(i.job.result_json) for i in held.buffered)


@pytest.mark.parametrize("size", [10, 250_000])
def test_the_input_of_a_leased_job_is_sent_and_not_retained(size: int) -> None:
    core, leased = WorkCore(Limits(), 10.0), job(size)
    core.hold(leased, handed_over=False)
    assert size_of_kept_texts(core) <= 1_024
    core.apply_commit(Committed(replace(leased, version=3)))
    assert size_of_kept_texts(core) <= 1_024
    core.hand_over(JobLeased(leased, (), (), False))
    [frame] = core.take(10)
    assert frame.body.job.input_json == leased.input_json
    core.apply_commit(Committed(replace(leased, version=4, result_json="y" * size)))
    assert size_of_kept_texts(core) <= 1_024
    assert core.held["j"].job.version == 4
