"""grpc's health service, with errors like those of all others."""

from __future__ import annotations

from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

from askback_server.domain.errors import ServiceNotFound
from askback_server.transport.errors import abort


class HealthChecks(HealthServicer):  # type: ignore[misc]
    """Says whether the replica serves, as a whole and by service."""

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> Any:
        """The state of one service. NOT_FOUND with our ErrorInfo for one that there is not."""
        if request.service not in self._server_status:
            await abort(context, ServiceNotFound(request.service))
        return await super().Check(request, context)
