"""Opens a worker's session for its stream, or resumes the one named in its hello."""

from __future__ import annotations

from typing import Protocol

from askback_server.domain.errors import SessionNotFound
from askback_server.engine.keeper import SessionKeeper
from askback_server.ports.worker_sessions import SessionStore, WorkerSession
from askback_server.sessions.work_frames import WorkHello


class OpeningDeps(Protocol):
    """What opening a session needs from the replica."""

    replica: str
    keeper: SessionKeeper
    sessions: SessionStore


async def open_session(deps: OpeningDeps, hello: WorkHello, subject: str) -> tuple[WorkerSession, str, bool]:
    """Open or resume a session. Returns it, its secret, and whether it was resumed. Raises
    SessionNotFound."""
    ttl = deps.keeper.ttl
    if hello.session_id:
        row = await deps.sessions.resume(hello.session_id, hello.session_secret, subject, deps.replica, ttl)
        if row is None or row.namespace != hello.namespace:
            raise SessionNotFound(hello.session_id)
        return row, hello.session_secret, True
    row, secret = await deps.sessions.open(hello.namespace, hello.worker_id, subject, deps.replica, ttl)
    return row, secret, False
