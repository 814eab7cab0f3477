"""The calls of WorkerService that a stream and a unary RPC share, by their frame's name."""

from __future__ import annotations

from typing import Any

from askback.v1 import worker_service_pb2 as pb
from askback_server.domain.commands import SessionRef
from askback_server.domain.jobs import Checkpoint
from askback_server.domain.principals import Principal, Role
from askback_server.domain.replies import PromptAsked
from askback_server.sessions.replica import Replica
from askback_server.transport import convert_commands as commands
from askback_server.transport.convert_jobs import checkpoint_message, job_message
from askback_server.transport.convert_prompts import prompt_message
from askback_server.transport.convert_values import job_id, page_size
from askback_server.transport.page_tokens import digest_of, seal, unseal


class WorkerCalls:
    """Each takes the unary request and gives the unary response. Raises AskbackError."""

    def __init__(self, replica: Replica, principal: Principal, session: SessionRef | None = None) -> None:
        self._replica = replica
        self._execute = replica.engine.execute
        self._who = principal
        self._session = session

    async def report_progress(self, request: pb.ReportProgressRequest) -> pb.ReportProgressResponse:
        """Coalesced: the newest wins within a short interval."""
        command = commands.report_progress(request, self._who, self._session)
        return pb.ReportProgressResponse(version=await self._replica.progress.report(command))

    async def ask_prompt(self, request: pb.AskPromptRequest) -> pb.AskPromptResponse:
        """As the contract says."""
        asked: PromptAsked = await self._execute(commands.ask_prompt(request, self._who, self._session))
        return pb.AskPromptResponse(prompt=prompt_message(asked.prompt), replayed=asked.replayed)

    async def acknowledge_prompts(
        self, request: pb.AcknowledgePromptsRequest
    ) -> pb.AcknowledgePromptsResponse:
        """As the contract says."""
        version = await self._execute(commands.acknowledge_prompts(request, self._who, self._session))
        return pb.AcknowledgePromptsResponse(version=version)

    async def save_checkpoint(self, request: pb.SaveCheckpointRequest) -> pb.SaveCheckpointResponse:
        """As the contract says."""
        version = await self._execute(commands.save_checkpoint(request, self._who, self._session))
        return pb.SaveCheckpointResponse(version=version)

    async def list_checkpoints(self, request: pb.ListCheckpointsRequest) -> pb.ListCheckpointsResponse:
        """As the contract says."""
        self._who.require(Role.WORKER)
        replica, limits = self._replica, self._replica.limits
        job = await replica.queries.job(job_id(request.job_id), self._who)
        query = digest_of("checkpoints", job.job_id)
        after = unseal(replica.secret, query, request.page_token)[0] if request.page_token else ""
        limit = page_size(request.page_size, limits)
        found = await replica.jobs.list_checkpoints(job.job_id, limit + 1, after)
        kept: list[Checkpoint] = []
        room = limits.page_bytes
        for checkpoint in found[:limit]:
            room -= len(checkpoint.value_json) + len(checkpoint.key) + 100
            if kept and room < 0:
                break
            kept.append(checkpoint)
        token = seal(replica.secret, query, [kept[-1].key]) if len(kept) < len(found) else ""
        return pb.ListCheckpointsResponse(checkpoints=map(checkpoint_message, kept), next_page_token=token)

    async def complete_job(self, request: pb.CompleteJobRequest) -> pb.CompleteJobResponse:
        """As the contract says."""
        job = await self._execute(commands.complete_job(request, self._who, self._session))
        return pb.CompleteJobResponse(job=job_message(job))

    async def fail_job(self, request: pb.FailJobRequest) -> pb.FailJobResponse:
        """As the contract says."""
        job = await self._execute(commands.fail_job(request, self._who, self._session))
        return pb.FailJobResponse(job=job_message(job))

    async def release_job(self, request: pb.ReleaseJobRequest) -> pb.ReleaseJobResponse:
        """As the contract says."""
        job = await self._execute(commands.release_job(request, self._who, self._session))
        return pb.ReleaseJobResponse(job=job_message(job))

    async def perform(self, name: str, request: Any) -> Any:
        """A call by its frame's name."""
        return await _CALLS[name](self, request)


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
