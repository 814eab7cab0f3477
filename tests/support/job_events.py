"""The events of a job, as its watchers read them."""

from __future__ import annotations

from typing import Any

from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jpb
from tests.support.service import ServiceWorld

LOST = job_pb2.JOB_EVENT_TYPE_JOB_LEASE_LOST


async def events(world: ServiceWorld, job_id: str, wanted: int, count: int = 1) -> list[Any]:
    """A job's events up to the `count`th of a type."""
    call = world.jobs.WatchJob(jpb.WatchJobRequest(job_id=job_id))
    seen: list[Any] = []
    while sum(event.type == wanted for event in seen) < count:
        seen += (await call.read()).events
    call.cancel()
    return seen
