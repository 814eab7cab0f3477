"""LeaseJobs and ExtendLease: leases for a worker without a stream.

Its session is no replica's own. It lives as long as the worker calls ExtendLease, or LeaseJobs with the
session's id, on any replica.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from askback_server.domain.aggregate import ANY_EPOCH
from askback_server.domain.commands import SessionRef
from askback_server.domain.errors import SessionNotFound
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal, Role
from askback_server.engine.dispatch import Dispatcher
from askback_server.engine.engine import Engine
from askback_server.engine.keeper import SessionKeeper
from askback_server.ports.clock import is_id
from askback_server.ports.storage import JobStore
from askback_server.ports.worker_sessions import SessionStore
from askback_server.sessions.access import Access
from askback_server.sessions.lease_data import read_lease_data
from askback_server.sessions.unary_consumer import UnaryConsumer
from askback_server.sessions.unary_leases import Lease, UnaryLeases
from askback_server.sessions.work_frames import JobLeased, LeaseDigest


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """What a worker asks for. `wait` in seconds; without `session_id` a session is opened."""

    namespace: str
    worker_id: str
    job_types: frozenset[str]
    max_jobs: int
    wait: float
    session_id: str = ""
    session_secret: str = ""


@dataclass(slots=True)
class UnarySession:
    """A live session of a worker without a stream."""

    session_id: str
    secret: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LeaseExtended:
    """The new expiry of a session, and how its leases differ from those that the worker holds."""

    expires_at: datetime
    lost: Collection[Lease] = ()
    """Leases that the worker named and the session does not hold."""
    leases_wanted: bool = False
    """Whether the worker must list its leases: they differ from the session's."""


class LeaseDeps(Protocol):
    """What leasing needs of the replica."""

    replica: str
    limits: Limits
    engine: Engine
    jobs: JobStore
    sessions: SessionStore
    keeper: SessionKeeper
    dispatcher: Dispatcher


async def lease_jobs(
    deps: LeaseDeps, principal: Principal, request: LeaseRequest, access: Access | None
) -> tuple[UnarySession, list[JobLeased]]:
    """Lease up to `max_jobs` jobs, waiting up to `wait` seconds for the first.

    `access` is that of a call that stays open, None for one that does not wait. Raises SessionNotFound,
    StorageUnavailable, PermissionDenied once the access has changed. Jobs that do not reach the caller
    are released.
    """
    session = await _session(deps, principal, request)
    consumer = UnaryConsumer(
        principal,
        SessionRef(session.session_id, ANY_EPOCH),
        request.worker_id,
        request.namespace,
        request.job_types,
        request.max_jobs,
    )

    async def extend() -> None:
        session.expires_at = await _extend(deps, principal, session.session_id, session.secret)

    def change_access(now: Principal) -> None:
        now.require(Role.WORKER)
        now.namespace(request.namespace)

    if access is not None:
        access.follow(change_access, principal)
    every = deps.keeper.ttl / 3
    jobs = await consumer.collect(deps.dispatcher, deps.engine, request.wait, extend, every)
    try:
        leased = [await read_lease_data(deps.jobs, job, deps.limits) for job in jobs]
        if jobs:
            await _leases(deps, session.session_id).note_sent(jobs)
    except BaseException:
        # The caller went away, or the database did: the jobs will not reach a worker.
        consumer.give_back(deps.engine)
        raise
    return session, leased


async def extend_lease(
    deps: LeaseDeps,
    principal: Principal,
    session_id: str,
    secret: str,
    named: frozenset[Lease] | None,
    digest: LeaseDigest | None,
) -> LeaseExtended:
    """Extend a session. Compares its leases with those that the worker names, or with their digest.

    With neither, all leases count as received. Raises SessionNotFound.
    """
    expires_at = await _extend(deps, principal, session_id, secret)
    leases = _leases(deps, session_id)
    if named is not None:
        now = expires_at - timedelta(seconds=deps.keeper.ttl)  # by the database's clock
        return LeaseExtended(expires_at, lost=await leases.compare(named, now))
    if digest is not None:
        return LeaseExtended(expires_at, leases_wanted=await leases.differ(digest))
    await leases.confirm_all()
    return LeaseExtended(expires_at)


async def _session(deps: LeaseDeps, principal: Principal, request: LeaseRequest) -> UnarySession:
    if request.session_id:
        expires_at = await _extend(deps, principal, request.session_id, request.session_secret)
        return UnarySession(request.session_id, request.session_secret, expires_at)
    row, secret = await deps.sessions.open(
        request.namespace, request.worker_id, principal.subject, deps.replica, deps.keeper.ttl
    )
    return UnarySession(row.session_id, secret, row.expires_at)


async def _extend(deps: LeaseDeps, principal: Principal, session_id: str, secret: str) -> datetime:
    if is_id(session_id):
        expires_at = await deps.sessions.extend(session_id, secret, principal.subject, deps.keeper.ttl)
        if expires_at is not None:
            return expires_at
    raise SessionNotFound(session_id)


def _leases(deps: LeaseDeps, session_id: str) -> UnaryLeases:
    return UnaryLeases(deps.sessions, deps.engine, session_id, deps.keeper.heartbeat_interval / 2)
