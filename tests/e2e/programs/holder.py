"""A worker by raw stubs and unary calls: `python -m tests.e2e.programs.holder SERVER NAME JOB_TYPE GATE`.

Leases one job, does nothing until the gate is there, then tries every write of a holder.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from askback.status import from_rpc
from askback.v1 import job_pb2, prompt_pb2
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as pb
from askback.v1.job_service_pb2_grpc import JobServiceStub
from askback.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.e2e.programs.saying import log_to_stderr, passes, say

SERVER, NAME, JOB_TYPE, GATE = sys.argv[1:]


def writes(job_id: str, token: int) -> dict[str, Any]:
    """Every write that needs the lease."""
    held: dict[str, Any] = {"job_id": job_id, "token": token}
    question = prompt_pb2.PromptContent(kind="confirm", title="May I still?", blocking=True)
    return {
        "ReportProgress": pb.ReportProgressRequest(**held, progress=job_pb2.Progress(done=1), milestone=True),
        "SaveCheckpoint": pb.SaveCheckpointRequest(**held, key="late", value_json="1"),
        "AskPrompt": pb.AskPromptRequest(**held, key="late", content=question),
        "FailJob": pb.FailJobRequest(**held, failure=job_pb2.Failure(code="LATE"), retryable=True),
        "ReleaseJob": pb.ReleaseJobRequest(**held),
        "CompleteJob": pb.CompleteJobRequest(**held, result_json='"late"'),
    }


async def main() -> None:
    """Lease, wait, write."""
    log_to_stderr()
    async with grpc.aio.insecure_channel(SERVER) as channel:
        stub, metadata = WorkerServiceStub(channel), (("askback-user", NAME),)
        request = pb.LeaseJobsRequest(worker_id=NAME, job_types=[JOB_TYPE], wait=Duration(seconds=30))
        reply = await stub.LeaseJobs(request, metadata=metadata)
        (leased,) = reply.jobs
        say("leased", job_id=leased.job.job_id, token=leased.token)
        await passes(GATE)
        calls: list[tuple[str, Any]] = [
            (name, getattr(stub, name)(write, metadata=metadata))
            for name, write in writes(leased.job.job_id, leased.token).items()
        ]
        understanding = jobs.UpdateDeepUnderstandingRequest(
            deep_understanding=job_pb2.DeepUnderstanding(job_id=leased.job.job_id, user_problem="late"),
            token=leased.token,
        )
        understanding.update_mask.paths.append("user_problem")
        calls.append(
            (
                "UpdateDeepUnderstanding",
                JobServiceStub(channel).UpdateDeepUnderstanding(understanding, metadata=metadata),
            )
        )
        extend = pb.ExtendLeaseRequest(session_id=reply.session_id, session_secret=reply.session_secret)
        calls.append(("ExtendLease", stub.ExtendLease(extend, metadata=metadata)))
        for name, call in calls:
            try:
                await call
            except grpc.aio.AioRpcError as rpc:
                error = from_rpc(rpc)
                say("refused", call=name, code=error.code, reason=error.reason)
            else:
                say("written", call=name)
    say("left")


if __name__ == "__main__":
    asyncio.run(main())
