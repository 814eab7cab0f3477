"""The calls of WorkerService that unary RPCs and the frames of Work share."""

from __future__ import annotations

from collections.abc import Awaitable

from askback.v1 import worker_service_pb2 as pb
from askback_server.domain.commands import HolderCommand, SessionRef
from askback_server.domain.jobs import Job
from askback_server.domain.principals import Principal, Role
from askback_server.domain.replies import JobVersion, PromptAsked
from askback_server.domain.sizes import fit_bytes
from askback_server.sessions.replica import Replica
from askback_server.transport.convert import commands
from askback_server.transport.convert.jobs import checkpoint_message
from askback_server.transport.convert.values import job_id, page_size
from askback_server.transport.page_tokens import digest_query, seal, unseal


class WorkerCalls:
    """Performs calls for a principal. Each method has the name of its frame and takes the unary request.

    `convert/replies.py` converts the replies.
    A command is queued before the method returns, so that commands keep the order of the calls. Raises
    AskbackError at once, or through the awaitable. `session` is that of the stream, None for a unary call.
    """

    def __init__(self, replica: Replica, principal: Principal, session: SessionRef | None = None) -> None:
        self._replica = replica
        self._submit = replica.engine.submit
        self._principal = principal
        self._session = session

    def report_progress(self, request: pb.ReportProgressRequest) -> Awaitable[JobVersion]:
        """Report progress. Within a short interval only the newest report is written."""
        return self._replica.progress.report(
            commands.report_progress(request, self._principal, self._session)
        )

    def ask_prompt(self, request: pb.AskPromptRequest) -> Awaitable[PromptAsked]:
        return self._submit(commands.ask_prompt(request, self._principal, self._session))

    def acknowledge_prompts(self, request: pb.AcknowledgePromptsRequest) -> Awaitable[JobVersion]:
        return self._submit(commands.acknowledge_prompts(request, self._principal, self._session))

    def save_checkpoint(self, request: pb.SaveCheckpointRequest) -> Awaitable[JobVersion]:
        return self._submit(commands.save_checkpoint(request, self._principal, self._session))

    async def list_checkpoints(self, request: pb.ListCheckpointsRequest) -> pb.ListCheckpointsResponse:
        self._principal.require(Role.CLIENT, Role.WORKER)
        replica, limits = self._replica, self._replica.limits
        job = await replica.queries.job(job_id(request.job_id), self._principal)
        query = digest_query("checkpoints", job.job_id)
        after = unseal(replica.secret, query, request.page_token)[0] if request.page_token else ""
        limit = page_size(request.page_size, limits)
        found = await replica.jobs.list_checkpoints(job.job_id, limit + 1, after)
        fitting = fit_bytes(found[:limit], lambda c: c.size, limits.page_bytes, at_least=1)
        token = seal(replica.secret, query, [fitting[-1].key]) if len(fitting) < len(found) else ""
        return pb.ListCheckpointsResponse(checkpoints=map(checkpoint_message, fitting), next_page_token=token)

    def complete_job(self, request: pb.CompleteJobRequest) -> Awaitable[Job]:
        return self._end(commands.complete_job(request, self._principal, self._session))

    def fail_job(self, request: pb.FailJobRequest) -> Awaitable[Job]:
        return self._end(commands.fail_job(request, self._principal, self._session))

    def release_job(self, request: pb.ReleaseJobRequest) -> Awaitable[Job]:
        return self._end(commands.release_job(request, self._principal, self._session))

    def _end(self, command: HolderCommand[Job]) -> Awaitable[Job]:
        """Submit a command that ends a lease, after the progress reported under it."""
        self._replica.progress.flush(command.job_id, command.token)
        return self._submit(command)
