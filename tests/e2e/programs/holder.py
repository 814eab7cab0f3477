"""A worker on raw stubs and unary calls: `python -m tests.e2e.programs.holder SERVER NAME JOB_TYPE GATE ...`.

Leases one job and waits for the gate, without heartbeats; then it tries every write that needs the lease.
It tries them again at each further gate.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from askback._wire.status import from_rpc
from askback.v1 import job_pb2, job_service_pb2, prompt_pb2
from askback.v1 import worker_service_pb2 as pb
from askback.v1.job_service_pb2_grpc import JobServiceStub
from askback.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.e2e.programs.saying import log_to_stderr, say, wait_for_gate

SERVER, NAME, JOB_TYPE, *GATES = sys.argv[1:]
METADATA = (("askback-user", "anonymous"),)
"""The principal of the other workers: only the fencing token tells them apart."""


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
    """Lease a job, wait for each gate, and try all writes."""
    log_to_stderr()
    async with grpc.aio.insecure_channel(SERVER) as channel:
        worker, jobs = WorkerServiceStub(channel), JobServiceStub(channel)
        request = pb.LeaseJobsRequest(worker_id=NAME, job_types=[JOB_TYPE], wait=Duration(seconds=30))
        reply = await worker.LeaseJobs(request, metadata=METADATA)
        (leased,) = reply.jobs
        job_id, token = leased.job.job_id, leased.token
        extend = pb.ExtendLeaseRequest(session_id=reply.session_id, session_secret=reply.session_secret)
        # A lease that its worker never received is not an attempt; this call confirms that it was received.
        await worker.ExtendLease(extend, metadata=METADATA)
        say("leased", job_id=job_id, token=token)
        understanding = job_service_pb2.UpdateDeepUnderstandingRequest(
            deep_understanding=job_pb2.DeepUnderstanding(job_id=job_id, user_problem="late"), token=token
        )
        understanding.update_mask.paths.append("user_problem")
        for turn, gate in enumerate(GATES):
            await wait_for_gate(gate)
            for name, write in writes(job_id, token).items():
                await attempt(turn, name, getattr(worker, name), write)
            await attempt(turn, "UpdateDeepUnderstanding", jobs.UpdateDeepUnderstanding, understanding)
            await attempt(turn, "ExtendLease", worker.ExtendLease, extend)
            say("tried", turn=turn)


async def attempt(turn: int, name: str, method: Any, request: Any) -> None:
    """Call the method and report whether the write was refused."""
    try:
        await method(request, metadata=METADATA)
    except grpc.aio.AioRpcError as rpc:
        error = from_rpc(rpc)
        say("refused", turn=turn, call=name, code=error.code, reason=error.reason)
    else:
        say("written", turn=turn, call=name)


if __name__ == "__main__":
    asyncio.run(main())
