"""The call that is being served: who it is from, and its name in the log.

It is kept in a context variable, not on the grpc context: a handler runs in the task of its call from
the interceptor to its end, and every task that it starts inherits a copy, so the whole life of a stream
sees it, and code that has no grpc context (conversion, logging) sees it too.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from askback_server.domain.principals import Principal
from askback_server.sessions.access import Access


@dataclass(slots=True)
class CallContext:
    """One authenticated call."""

    method: str
    """As on the wire: `/askback.v1.JobService/CreateJob`."""
    request_id: str
    principal: Principal
    """Who called, when it began."""
    access: Access | None = None
    """Who calls now, for a call that stays open."""


CURRENT: ContextVar[CallContext] = ContextVar("askback_call")
"""Set by the interceptor; not set in calls of grpc's own services."""


def current_principal() -> Principal:
    """Who the call that is being served is from, as of now. Raises LookupError outside of a call."""
    call = CURRENT.get()
    return call.principal if call.access is None else call.access.principal


def current_access() -> Access:
    """The access of the open call that is being served. Raises LookupError outside of one."""
    access = CURRENT.get().access
    if access is None:
        raise LookupError("this call does not stay open")
    return access
