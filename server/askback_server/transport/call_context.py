"""The current call: its method, its caller, and its id in the log.

It is in a context variable, not on the grpc context. The interceptor and the handler run in the task of the
call, and each task that they start inherits a copy, so it is available for the whole life of a stream, and
also to code without a grpc context, such as conversion and logging.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc

from askback_server.domain.principals import Principal
from askback_server.sessions.access import Access


@dataclass(slots=True)
class CallContext:
    """One authenticated call."""

    method: str
    """The full name, for example `/askback.v1.JobService/CreateJob`."""
    request_id: str
    principal: Principal
    """The caller when the call began."""
    access: Access | None = None
    """The access of a call that stays open: it may change."""


Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
"""The context of a call of any method."""

CURRENT: ContextVar[CallContext] = ContextVar("askback_call")
"""Set by the interceptor, except for grpc's health and reflection services."""


def current_principal() -> Principal:
    """The caller of the current call, as of now. Raises LookupError outside of a call."""
    call = CURRENT.get()
    return call.principal if call.access is None else call.access.principal


def current_access() -> Access:
    """The access of the current open call. Raises LookupError outside of one."""
    access = CURRENT.get().access
    if access is None:
        raise LookupError("this call does not stay open")
    return access
