"""The calls of WorkerService that a stream and a unary RPC share, by their frame's name."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

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
from askback_server.transport.page_tokens import digest_of, seal, unseal


class WorkerCalls:
    """Each takes the unary request; what comes of it is what `put_reply` takes.

    Commands are queued before the call returns, in the order of the calls. Raises AskbackError, or
    gives it through the awaitable. `session` is the stream's, None for a unary call.
    """

    def __init__(self, replica: Replica, principal: Principal, session: SessionRef | None = None) -> None:
        self._replica = replica
        self._submit = replica.engine.submit
        self._who = principal
        self._session = session

    def report_progress(self, request: pb.ReportProgressRequest) -> Awaitable[JobVersion]:
        """Coalesced: the newest wins within a short interval."""
        return self._replica.progress.report(commands.report_progress(request, self._who, self._session))

    def ask_prompt(self, request: pb.AskPromptRequest) -> Awaitable[PromptAsked]:
        """As the contract says."""
        return self._submit(commands.ask_prompt(request, self._who, self._session))

    def acknowledge_prompts(self, request: pb.AcknowledgePromptsRequest) -> Awaitable[JobVersion]:
        """As the contract says."""
        return self._submit(commands.acknowledge_prompts(request, self._who, self._session))

    def save_checkpoint(self, request: pb.SaveCheckpointRequest) -> Awaitable[JobVersion]:
        """As the contract says."""
        return self._submit(commands.save_checkpoint(request, self._who, self._session))

    async def list_checkpoints(self, request: pb.ListCheckpointsRequest) -> pb.ListCheckpointsResponse:
        """As the contract says."""
        self._who.require(Role.WORKER)
        replica, limits = self._replica, self._replica.limits
        job = await replica.queries.job(job_id(request.job_id), self._who)
        query = digest_of("checkpoints", job.job_id)
        after = unseal(replica.secret, query, request.page_token)[0] if request.page_token else ""
        limit = page_size(request.page_size, limits)
        found = await replica.jobs.list_checkpoints(job.job_id, limit + 1, after)
        kept = fit_bytes(found[:limit], lambda c: c.size, limits.page_bytes, at_least=1)
        token = seal(replica.secret, query, [kept[-1].key]) if len(kept) < len(found) else ""
        return pb.ListCheckpointsResponse(checkpoints=map(checkpoint_message, kept), next_page_token=token)

    def complete_job(self, request: pb.CompleteJobRequest) -> Awaitable[Job]:
        """As the contract says."""
        return self._end(commands.complete_job(request, self._who, self._session))

    def fail_job(self, request: pb.FailJobRequest) -> Awaitable[Job]:
        """As the contract says."""
        return self._end(commands.fail_job(request, self._who, self._session))

    def release_job(self, request: pb.ReleaseJobRequest) -> Awaitable[Job]:
        """As the contract says."""
        return self._end(commands.release_job(request, self._who, self._session))

    def _end(self, command: HolderCommand[Job]) -> Awaitable[Job]:
        """What ends a lease comes after all that was said under it."""
        self._replica.progress.flush(command.job_id, command.token)
        return self._submit(command)

    def perform(self, name: str, request: Any) -> Awaitable[Any]:
        """A call by its frame's name."""
        started: Awaitable[Any] = _CALLS[name](self, request)
        return started


_CALLS: dict[str, Any] = {
    name: getattr(WorkerCalls, name)
    for name in (
        "report_progress",
        "ask_prompt",
        "acknowledge_prompts",
        "save_checkpoint",
        "list_checkpoints",
        "complete_job",
        "fail_job",
        "release_job",
    )
}
