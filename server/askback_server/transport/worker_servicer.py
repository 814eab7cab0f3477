"""WorkerService. Every method converts the request, makes one call, and converts the result."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from askback.v1 import worker_service_pb2 as pb
from askback_server.domain.principals import Role
from askback_server.domain.prompts import Prompt
from askback_server.sessions.job_follower import wait_for_resolution
from askback_server.sessions.lease_jobs import extend_lease, lease_jobs
from askback_server.sessions.replica import Replica
from askback_server.transport.call_context import current_access, current_principal
from askback_server.transport.convert.leases import (
    extended_message,
    held_leases,
    lease_digest,
    lease_request,
    leases_message,
)
from askback_server.transport.convert.prompts import prompt_message, prompt_ref
from askback_server.transport.convert.replies import response
from askback_server.transport.convert.values import wait_seconds
from askback_server.transport.open_calls import StreamContext
from askback_server.transport.streams import serve_work
from askback_server.transport.worker_calls import WorkerCalls


class WorkerServicer:
    """Serves workers. The contract documents the methods."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def _calls(self) -> WorkerCalls:
        return WorkerCalls(self._replica, current_principal())

    def Work(self, _: object, context: StreamContext) -> Coroutine[Any, Any, None]:
        current_principal().require(Role.WORKER)
        return serve_work(self._replica, current_access(), context)

    async def LeaseJobs(self, request: pb.LeaseJobsRequest, _: object) -> pb.LeaseJobsResponse:
        principal = current_principal()
        principal.require(Role.WORKER)
        wanted = lease_request(request, principal, self._replica.limits)
        # A call that does not wait is not an open call: its access cannot change.
        access = current_access() if wanted.wait else None
        return leases_message(*await lease_jobs(self._replica, principal, wanted, access))

    async def ExtendLease(self, request: pb.ExtendLeaseRequest, _: object) -> pb.ExtendLeaseResponse:
        principal = current_principal()
        principal.require(Role.WORKER)
        named = held_leases(request.held) if request.HasField("held") else None
        digest = lease_digest(request.digest) if request.HasField("digest") else None
        session_id, secret = request.session_id, request.session_secret
        return extended_message(
            await extend_lease(self._replica, principal, session_id, secret, named, digest)
        )

    async def AwaitPrompt(self, request: pb.AwaitPromptRequest, _: object) -> pb.AwaitPromptResponse:
        principal = current_principal()
        principal.require(Role.WORKER)
        replica = self._replica
        ref = prompt_ref(request.prompt_id, request.job_id, request.key)

        async def read() -> Prompt:
            now = current_principal()  # may have changed while the call waited
            now.require(Role.WORKER)
            return await replica.queries.prompt(ref, now)

        wait = wait_seconds(request, replica.limits)
        prompt = await wait_for_resolution(replica.feed, read, wait)
        return pb.AwaitPromptResponse(prompt=prompt_message(prompt))

    async def ReportProgress(self, request: pb.ReportProgressRequest, _: object) -> pb.ReportProgressResponse:
        return response(pb.ReportProgressResponse, await self._calls().report_progress(request))

    async def AskPrompt(self, request: pb.AskPromptRequest, _: object) -> pb.AskPromptResponse:
        return response(pb.AskPromptResponse, await self._calls().ask_prompt(request))

    async def AcknowledgePrompts(
        self, request: pb.AcknowledgePromptsRequest, _: object
    ) -> pb.AcknowledgePromptsResponse:
        return response(pb.AcknowledgePromptsResponse, await self._calls().acknowledge_prompts(request))

    async def SaveCheckpoint(self, request: pb.SaveCheckpointRequest, _: object) -> pb.SaveCheckpointResponse:
        return response(pb.SaveCheckpointResponse, await self._calls().save_checkpoint(request))

    async def ListCheckpoints(
        self, request: pb.ListCheckpointsRequest, _: object
    ) -> pb.ListCheckpointsResponse:
        return await self._calls().list_checkpoints(request)

    async def CompleteJob(self, request: pb.CompleteJobRequest, _: object) -> pb.CompleteJobResponse:
        return response(pb.CompleteJobResponse, await self._calls().complete_job(request))

    async def FailJob(self, request: pb.FailJobRequest, _: object) -> pb.FailJobResponse:
        return response(pb.FailJobResponse, await self._calls().fail_job(request))

    async def ReleaseJob(self, request: pb.ReleaseJobRequest, _: object) -> pb.ReleaseJobResponse:
        return response(pb.ReleaseJobResponse, await self._calls().release_job(request))
