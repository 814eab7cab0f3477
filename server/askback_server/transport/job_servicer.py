"""JobService. Every method converts the request, makes one call, and converts the result."""

from __future__ import annotations

from askback.v1 import job_service_pb2 as pb
from askback_server.domain.principals import Role
from askback_server.domain.sizes import fit_bytes
from askback_server.engine.retrying import prepare_retry
from askback_server.sessions.replica import Replica
from askback_server.transport.call_context import current_access, current_principal
from askback_server.transport.convert import commands
from askback_server.transport.convert.jobs import (
    job_filter,
    job_message,
    retry_request,
    understanding_message,
)
from askback_server.transport.convert.overview import overview_message, overview_request
from askback_server.transport.convert.prompts import prompt_message, prompt_messages
from askback_server.transport.convert.values import job_id, page_size
from askback_server.transport.job_heads import visible_job_message
from askback_server.transport.job_streams import READERS, serve_job, serve_jobs
from askback_server.transport.open_calls import StreamContext
from askback_server.transport.page_tokens import digest_query, seal, unseal


class JobServicer:
    """Serves programs that create and follow jobs. The contract documents the methods."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._execute = replica.engine.execute

    async def CreateJob(self, request: pb.CreateJobRequest, _: object) -> pb.CreateJobResponse:
        created = await self._execute(commands.create_job(request, current_principal()))
        response = pb.CreateJobResponse(job=job_message(created.job), replayed=created.replayed)
        if created.prompt is not None:
            response.prompt.CopyFrom(prompt_message(created.prompt))
        return response

    async def GetJob(self, request: pb.GetJobRequest, _: object) -> pb.GetJobResponse:
        principal = current_principal()
        principal.require(*READERS, Role.CONSOLE)
        strong = request.consistency == pb.CONSISTENCY_STRONG
        seen = await self._replica.queries.visible_job(job_id(request.job_id), principal, strong=strong)
        room = self._replica.limits.page_bytes - len(seen.job.input_json) - len(seen.job.result_json)
        prompts = prompt_messages(fit_bytes(seen.open_prompts, lambda p: 1000 + p.content.size, room))
        return pb.GetJobResponse(job=visible_job_message(seen), open_prompts=prompts)

    async def ListJobs(self, request: pb.ListJobsRequest, _: object) -> pb.ListJobsResponse:
        principal = current_principal()
        principal.require(*READERS)
        filter = job_filter(request.filter, request.namespace, principal)
        query, secret = digest_query("jobs", filter), self._replica.secret
        after = unseal(secret, query, request.page_token)[0] if request.page_token else None
        limit = page_size(request.page_size, self._replica.limits)
        page = await self._replica.jobs.list_jobs(filter, limit, after, self._replica.limits.page_bytes)
        token = seal(secret, query, [page.next]) if page.next else ""
        total = await self._replica.jobs.count_jobs(filter) if request.count else 0
        return pb.ListJobsResponse(jobs=map(job_message, page.jobs), next_page_token=token, total_size=total)

    async def WatchJob(self, request: pb.WatchJobRequest, context: StreamContext) -> None:
        principal = current_principal()
        principal.require(*READERS, Role.CONSOLE)
        seen = await self._replica.queries.visible_job(job_id(request.job_id), principal, strong=True)
        await serve_job(self._replica, current_access(), principal, seen.job, request.after_seq, context)

    async def WatchJobs(self, request: pb.WatchJobsRequest, context: StreamContext) -> None:
        principal = current_principal()
        principal.require(*READERS)
        filter = job_filter(request.filter, request.namespace, principal)
        await serve_jobs(self._replica, current_access(), principal, filter, request.resume_token, context)

    async def UpdateJob(self, request: pb.UpdateJobRequest, _: object) -> pb.UpdateJobResponse:
        job = await self._execute(commands.update_job(request, current_principal()))
        return pb.UpdateJobResponse(job=job_message(job))

    async def CancelJob(self, request: pb.CancelJobRequest, _: object) -> pb.CancelJobResponse:
        job = await self._execute(commands.cancel_job(request, current_principal()))
        return pb.CancelJobResponse(job=job_message(job))

    async def RetryJob(self, request: pb.RetryJobRequest, _: object) -> pb.RetryJobResponse:
        replica, principal = self._replica, current_principal()
        job_id, keep = retry_request(request)
        command = await prepare_retry(
            replica.queries, replica.jobs, principal, job_id, request.request_id, keep
        )
        created = await self._execute(command)
        return pb.RetryJobResponse(job=job_message(created.job), replayed=created.replayed)

    async def DeleteJob(self, request: pb.DeleteJobRequest, _: object) -> pb.DeleteJobResponse:
        await self._execute(commands.delete_job(request, current_principal()))
        return pb.DeleteJobResponse()

    async def GetDeepUnderstanding(
        self, request: pb.GetDeepUnderstandingRequest, _: object
    ) -> pb.GetDeepUnderstandingResponse:
        state = await self._replica.queries.understanding(job_id(request.job_id), current_principal())
        return pb.GetDeepUnderstandingResponse(deep_understanding=understanding_message(state))

    async def GetOverview(self, request: pb.GetOverviewRequest, _: object) -> pb.GetOverviewResponse:
        found = await self._replica.overviews.read(*overview_request(request, current_principal()))
        return overview_message(found)

    async def UpdateDeepUnderstanding(
        self, request: pb.UpdateDeepUnderstandingRequest, _: object
    ) -> pb.UpdateDeepUnderstandingResponse:
        state = await self._execute(commands.update_deep_understanding(request, current_principal()))
        return pb.UpdateDeepUnderstandingResponse(deep_understanding=understanding_message(state))
