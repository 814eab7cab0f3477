"""AccessService: who the caller is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from askback.v1 import access_service_pb2 as pb
from askback_server.transport.call_context import current_principal
from askback_server.transport.tokens import Credentials


class AccessServicer:
    """What every authenticated caller may ask."""

    def __init__(self, credentials: Callable[[Any], Credentials]) -> None:
        """`credentials` gives what the caller of the call with this gRPC context showed."""
        self._credentials = credentials

    async def WhoAmI(self, _: pb.WhoAmIRequest, context: Any) -> pb.WhoAmIResponse:
        """As the contract says."""
        principal, shown = current_principal(), self._credentials(context)
        response = pb.WhoAmIResponse(
            subject=principal.subject,
            namespaces=[name for name in principal.namespaces if name != "*"],
            all_namespaces="*" in principal.namespaces,
            roles=sorted(principal.roles),
            groups=sorted(principal.groups),
            admin=principal.is_admin,
            authentication=pb.Authentication.Value(f"AUTHENTICATION_{shown.authentication}"),
        )
        if shown.expires is not None:
            response.expire_time.FromDatetime(shown.expires)
        response.server_time.GetCurrentTime()
        return response
