"""Leases from and to their messages: what a worker asks for, holds and receives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from askback.v1 import worker_service_pb2 as pb
from askback_server.domain.checks import Checker
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal
from askback_server.ports.clock import is_id
from askback_server.sessions.lease_jobs import LeaseExtended, LeaseRequest, UnarySession
from askback_server.sessions.work_frames import JobLeased, LeaseDigest, WorkHello
from askback_server.transport.convert.jobs import checkpoint_message, put_job
from askback_server.transport.convert.prompts import prompt_bytes
from askback_server.transport.convert.values import namespace, put_time, wait_seconds


def lease_request(request: pb.LeaseJobsRequest, principal: Principal, limits: Limits) -> LeaseRequest:
    """The jobs that a worker without a stream asks for. Raises InvalidField, PermissionDenied."""
    check = Checker(limits)
    check.name("worker_id", request.worker_id)
    check.number("max_jobs", request.max_jobs, 0, limits.lease_jobs)
    _check_job_types(check, request.job_types)
    check.done()
    wait = wait_seconds(request, limits)
    return LeaseRequest(
        namespace=namespace(request.namespace, principal),
        worker_id=request.worker_id,
        job_types=frozenset(request.job_types),
        max_jobs=request.max_jobs or 1,
        wait=wait,
        session_id=request.session_id,
        session_secret=request.session_secret,
    )


def work_hello(message: pb.WorkHello, principal: Principal, limits: Limits) -> WorkHello:
    """The hello of a Work stream. Raises InvalidField, PermissionDenied."""
    check = Checker(limits, "hello.")
    check.name("worker_id", message.worker_id)
    _check_job_types(check, message.job_types)
    if message.session_id and not is_id(message.session_id):
        check.bad("session_id", "is not one of ours")
    check.done()
    return WorkHello(
        namespace=namespace(message.namespace, principal),
        worker_id=message.worker_id,
        job_types=frozenset(message.job_types),
        capacity=message.capacity,
        session_id=message.session_id,
        session_secret=message.session_secret,
        held=tuple((h.job_id, h.token) for h in message.held_jobs),
    )


def _check_job_types(check: Checker, job_types: Sequence[str]) -> None:
    if not job_types:
        check.bad("job_types", "is required: the types of jobs that the worker takes")
    for job_type in job_types:
        check.name("job_types", job_type)


def lease_digest(message: pb.WorkLeaseDigest) -> LeaseDigest:
    """The digest of the leases that a worker holds."""
    return LeaseDigest(message.count, message.digest)


def held_leases(message: pb.WorkHeldLeases) -> frozenset[tuple[str, int]]:
    """The leases that a worker lists, each a job id and a token."""
    return frozenset((lease.job_id, lease.token) for lease in message.leases)


def leased_job_message(leased: JobLeased) -> pb.LeasedJob:
    """A job under the lease that its newest token names."""
    message = pb.LeasedJob(token=leased.job.token, more=leased.more)
    put_job(message.job, leased.job)
    for prompt in leased.prompts:
        message.prompts.add().MergeFromString(prompt_bytes(prompt))
    for checkpoint in leased.checkpoints:
        message.checkpoints.append(checkpoint_message(checkpoint))
    return message


def leases_message(session: UnarySession, leased: Iterable[JobLeased]) -> pb.LeaseJobsResponse:
    """The response of LeaseJobs."""
    message = pb.LeaseJobsResponse(
        session_id=session.session_id,
        session_secret=session.secret,
        jobs=map(leased_job_message, leased),
    )
    put_time(message.expire_time, session.expires_at)
    return message


def extended_message(extended: LeaseExtended) -> pb.ExtendLeaseResponse:
    """The response of ExtendLease."""
    message = pb.ExtendLeaseResponse(leases_wanted=extended.leases_wanted)
    put_time(message.expire_time, extended.expires_at)
    for job_id, token in extended.lost:
        message.lost.add(job_id=job_id, token=token)
    return message
