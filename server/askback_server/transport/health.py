"""grpc.health.v1 for unauthenticated callers."""

from __future__ import annotations

import asyncio

from grpc_health.v1 import health_pb2

from askback_server.domain.errors import ServiceNotFound
from askback_server.transport.call_context import Context
from askback_server.transport.errors import abort

_STATUS = health_pb2.HealthCheckResponse


class Health:
    """Reports which services accept calls.

    The servicer of grpcio is not used: it stores every name that a caller asks for, forgets the other
    watchers of a name when one leaves, and writes to a watcher while it holds the lock that a change of
    status needs. Here the names are fixed, and watchers do not wait for each other.
    """

    def __init__(self) -> None:
        self._status: dict[str, int] = {}
        self._changed = asyncio.Event()

    def set(self, service: str, status: int) -> None:
        """Set the status of a service and send it to the watchers."""
        self._status[service] = status
        self._changed.set()
        self._changed = asyncio.Event()

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        """The status of a service. NOT_FOUND for an unknown one."""
        status = self._status.get(request.service)
        if status is None:
            await abort(context, ServiceNotFound(request.service))
        return _STATUS(status=status)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:
        """The current status of a service, and then each change of it."""
        service = request.service if request.service in self._status else None
        del request  # keep nothing that an unauthenticated caller sent
        sent = None
        while True:
            changed = self._changed
            status = _STATUS.SERVICE_UNKNOWN if service is None else self._status[service]
            if status != sent:
                await context.write(_STATUS(status=status))
                sent = status
            await changed.wait()
