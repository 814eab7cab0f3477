"""The durable floor makes the commits that Askback makes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import pytest

from askback.v1 import job_pb2, job_service_pb2, worker_service_pb2
from tests.bench import questions
from tests.bench.durable import DurableRelay
from tests.bench.durable_stores import Row, by_statement
from tests.bench.relay import Worker
from tests.support.waiting import until


class Store:
    """Keeps what it is given to commit."""

    def __init__(self) -> None:
        self.batches: list[dict[str, list[tuple[Any, ...]]]] = []

    async def open(self) -> None:
        pass

    @staticmethod
    def time(at: datetime) -> Any:
        return at

    async def write(self, rows: Sequence[Row]) -> None:
        self.batches.append(by_statement(rows))


class Outbox(list[Any]):
    """Keeps the frames sent."""

    send = list.append


@pytest.mark.parametrize("door", ["stream", "call"])
async def test_a_job_without_people_is_two_commits(door: str) -> None:
    store, outbox = Store(), Outbox()
    relay = DurableRelay(store)
    writing = asyncio.create_task(relay.write())
    if door == "stream":
        job_type = "t"
        hello = worker_service_pb2.WorkHello(worker_id="w", job_types=[job_type], capacity=1)
        relay._workers.append(Worker(cast(Any, outbox), hello))
    else:
        job_type = questions.CALLED
        request = worker_service_pb2.LeaseJobsRequest(worker_id="w", max_jobs=1)
        request.wait.seconds = 30
        call = asyncio.create_task(relay.lease_jobs(request, None))
        await asyncio.sleep(0)
    created = await relay.create_job(job_service_pb2.CreateJobRequest(job_type=job_type), None)
    assert created.job.state == job_pb2.JOB_STATE_PENDING, "as Askback replies"
    if door == "stream":
        [frame] = outbox
        job = frame.job_leased.leased_job.job
    else:
        job = (await call).jobs[0].job
    assert (job.state, job.version, job.worker_id) == (job_pb2.JOB_STATE_RUNNING, 2, "w")
    [first] = store.batches
    assert [row[1:3] for row in first["add_event"]] == [(1, "JOB_CREATED"), (2, "JOB_LEASED")]
    [row] = first["add_job"]
    assert (row[0], row[3], row[4], row[7]) == (job.job_id, job_pb2.JOB_STATE_RUNNING, 2, "w")
    assert set(first) == {"add_event", "add_job"}
    done = worker_service_pb2.CompleteJobRequest(job_id=job.job_id, token=1, result_json="1")
    if door == "stream":
        relay._complete_on_stream(
            relay._workers[0], worker_service_pb2.WorkClientFrame(ref=1, complete_job=done)
        )
        await until(lambda: len(outbox) == 2, "the reply is sent")
    else:
        await relay.complete_job(done, None)
    assert len(store.batches) == 2
    writing.cancel()
