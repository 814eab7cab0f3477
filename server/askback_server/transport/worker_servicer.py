"""WorkerService: convert in, call one thing, convert out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from askback.v1 import worker_service_pb2 as pb
from askback_server.domain.checks import Checker
from askback_server.domain.commands import SessionRef
from askback_server.domain.errors import SessionNotFound
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt
from askback_server.ports.clock import is_id
from askback_server.sessions.job_follower import resolved_prompt
from askback_server.sessions.lease_parcel import lease_parcel
from askback_server.sessions.replica import Replica
from askback_server.sessions.unary_lease import UnaryTaker
from askback_server.sessions.unary_leases import UnaryLeases
from askback_server.transport.call_context import current_access, current_principal
from askback_server.transport.convert.jobs import leased_job_message
from askback_server.transport.convert.prompts import prompt_message, prompt_ref
from askback_server.transport.convert.replies import response
from askback_server.transport.convert.values import namespace, put_time, wait_seconds
from askback_server.transport.frames_work import held_leases, lease_digest
from askback_server.transport.streams import serve_work
from askback_server.transport.worker_calls import WorkerCalls


class WorkerServicer:
    """What workers call."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def _calls(self) -> WorkerCalls:
        return WorkerCalls(self._replica, current_principal())

    async def Work(self, _: Any, context: Any) -> None:
        """As the contract says."""
        current_principal().require(Role.WORKER)
        await serve_work(self._replica, current_access(), context)

    async def LeaseJobs(self, request: pb.LeaseJobsRequest, _: Any) -> pb.LeaseJobsResponse:
        """As the contract says."""
        principal = current_principal()
        principal.require(Role.WORKER)
        replica, limits = self._replica, self._replica.limits
        check = Checker(limits)
        check.name("worker_id", request.worker_id)
        check.number("max_jobs", request.max_jobs, 0, limits.lease_jobs)
        if not request.job_types:
            check.bad("job_types", "is required")
        for job_type in request.job_types:
            check.name("job_types", job_type)
        check.done()
        wait = wait_seconds(request, limits)
        home = namespace(request.namespace, principal)
        leased = pb.LeaseJobsResponse()
        session = await self._session(request, principal, home, leased)
        taker = UnaryTaker(
            principal,
            session,
            request.worker_id,
            home,
            frozenset(request.job_types),
            request.max_jobs or 1,
        )

        async def extend() -> None:
            until = await self._extend(leased.session_id, leased.session_secret, principal)
            put_time(leased.expire_time, until)

        def access_changed(now: Principal) -> None:
            now.require(Role.WORKER)
            now.namespace(home)

        if wait:  # else it is no call that stays open
            current_access().follow(access_changed, principal)
        every = replica.keeper.ttl / 3
        jobs = await taker.collect(replica.dispatcher, replica.engine, wait, extend, every)
        try:
            for job in jobs:
                parcel = await lease_parcel(replica.jobs, job, limits)
                leased.jobs.append(
                    leased_job_message(parcel.job, parcel.prompts, parcel.checkpoints, parcel.more)
                )
            if jobs:
                await self._leases(leased.session_id).sent(jobs)
        except BaseException:
            # The caller went away, or the database: the jobs will not reach a worker.
            taker.give_back(replica.engine)
            raise
        return leased

    def _leases(self, session_id: str) -> UnaryLeases:
        replica = self._replica
        apart = replica.keeper.heartbeat_interval / 2
        return UnaryLeases(replica.sessions, replica.engine, session_id, apart)

    async def _session(
        self, request: pb.LeaseJobsRequest, principal: Principal, home: str, leased: pb.LeaseJobsResponse
    ) -> SessionRef:
        sessions, ttl = self._replica.sessions, self._replica.keeper.ttl
        if not request.session_id:
            row, secret = await sessions.open(
                home, request.worker_id, principal.subject, self._replica.replica, ttl
            )
            session_id, expires_at = row.session_id, row.expires_at
        else:
            session_id, secret = request.session_id, request.session_secret
            until = await self._extend(session_id, secret, principal)
            expires_at = until
        leased.session_id, leased.session_secret = session_id, secret
        put_time(leased.expire_time, expires_at)
        return SessionRef(session_id, 0)

    async def _extend(self, session_id: str, secret: str, principal: Principal) -> Any:
        until = None
        if is_id(session_id):
            replica = self._replica
            until = await replica.sessions.extend(session_id, secret, principal.subject, replica.keeper.ttl)
        if until is None:
            raise SessionNotFound(session_id)
        return until

    async def ExtendLease(self, request: pb.ExtendLeaseRequest, _: Any) -> pb.ExtendLeaseResponse:
        """As the contract says."""
        principal = current_principal()
        principal.require(Role.WORKER)
        extended = pb.ExtendLeaseResponse()
        until = await self._extend(request.session_id, request.session_secret, principal)
        put_time(extended.expire_time, until)
        leases = self._leases(request.session_id)
        if request.HasField("held"):
            now = until - timedelta(seconds=self._replica.keeper.ttl)  # by the database's clock
            for job_id, token in await leases.compare(held_leases(request.held), now):
                extended.lost.add(job_id=job_id, token=token)
        elif request.HasField("digest"):
            extended.leases_wanted = await leases.differ(lease_digest(request.digest))
        else:
            await leases.confirmed()
        return extended

    async def AwaitPrompt(self, request: pb.AwaitPromptRequest, _: Any) -> pb.AwaitPromptResponse:
        """As the contract says."""
        principal = current_principal()
        principal.require(Role.WORKER)
        replica = self._replica
        ref = prompt_ref(request.prompt_id, request.job_id, request.key)

        async def read() -> Prompt:
            now = current_principal()  # it may have changed while the call waited
            now.require(Role.WORKER)
            return await replica.queries.prompt(ref, now)

        wait = wait_seconds(request, replica.limits)
        prompt = await resolved_prompt(replica.feed, read, wait)
        return pb.AwaitPromptResponse(prompt=prompt_message(prompt))

    async def ReportProgress(self, request: pb.ReportProgressRequest, _: Any) -> pb.ReportProgressResponse:
        """As the contract says."""
        return response(pb.ReportProgressResponse, await self._calls().report_progress(request))

    async def AskPrompt(self, request: pb.AskPromptRequest, _: Any) -> pb.AskPromptResponse:
        """As the contract says."""
        return response(pb.AskPromptResponse, await self._calls().ask_prompt(request))

    async def AcknowledgePrompts(
        self, request: pb.AcknowledgePromptsRequest, _: Any
    ) -> pb.AcknowledgePromptsResponse:
        """As the contract says."""
        return response(pb.AcknowledgePromptsResponse, await self._calls().acknowledge_prompts(request))

    async def SaveCheckpoint(self, request: pb.SaveCheckpointRequest, _: Any) -> pb.SaveCheckpointResponse:
        """As the contract says."""
        return response(pb.SaveCheckpointResponse, await self._calls().save_checkpoint(request))

    async def ListCheckpoints(self, request: pb.ListCheckpointsRequest, _: Any) -> pb.ListCheckpointsResponse:
        """As the contract says."""
        return await self._calls().list_checkpoints(request)

    async def CompleteJob(self, request: pb.CompleteJobRequest, _: Any) -> pb.CompleteJobResponse:
        """As the contract says."""
        return response(pb.CompleteJobResponse, await self._calls().complete_job(request))

    async def FailJob(self, request: pb.FailJobRequest, _: Any) -> pb.FailJobResponse:
        """As the contract says."""
        return response(pb.FailJobResponse, await self._calls().fail_job(request))

    async def ReleaseJob(self, request: pb.ReleaseJobRequest, _: Any) -> pb.ReleaseJobResponse:
        """As the contract says."""
        return response(pb.ReleaseJobResponse, await self._calls().release_job(request))
