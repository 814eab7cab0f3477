"""grpc.health.v1 for callers that nobody knows: a fixed set of names, and no watcher holds up another."""

from __future__ import annotations

import asyncio
from typing import Any

from grpc_health.v1 import health_pb2

from askback_server.domain.errors import ServiceNotFound
from askback_server.transport.errors import abort

_STATUS = health_pb2.HealthCheckResponse


class Health:
    """Says which services take calls.

    grpcio's own servicer keeps what callers name, forgets the other watchers of a name when one leaves, and
    writes to a watcher under the lock that a change of status needs; so this one is ours.
    """

    def __init__(self) -> None:
        self._status: dict[str, int] = {}
        self._changed = asyncio.Event()

    def set(self, service: str, status: int) -> None:
        """Say so to checks and to watchers."""
        self._status[service] = status
        self._changed.set()
        self._changed = asyncio.Event()

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> health_pb2.HealthCheckResponse:
        """A service's status; NOT_FOUND for one that is not there."""
        status = self._status.get(request.service)
        if status is None:
            await abort(context, ServiceNotFound(request.service))
        return _STATUS(status=status)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:
        """A service's status whenever it changes, the present one first."""
        service = request.service if request.service in self._status else None
        del request  # nothing of what an unknown caller sent is kept
        told = None
        while True:
            changed = self._changed
            status = _STATUS.SERVICE_UNKNOWN if service is None else self._status[service]
            if status != told:
                await context.write(_STATUS(status=status))
                told = status
            await changed.wait()
