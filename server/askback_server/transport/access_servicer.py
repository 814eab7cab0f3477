"""AccessService: tells callers how they were authenticated, and ends sign-in sessions."""

from __future__ import annotations

from collections.abc import Callable

from askback.v1 import access_service_pb2 as pb
from askback_server.engine.sign_outs import SignOuts
from askback_server.transport.call_context import Context, current_principal
from askback_server.transport.convert.values import moment
from askback_server.transport.tokens import Credentials


class AccessServicer:
    """Serves every authenticated caller. The contract documents the methods."""

    def __init__(self, credentials: Callable[[Context], Credentials], sign_outs: SignOuts) -> None:
        """`credentials` returns the credentials of the call with this context."""
        self._credentials = credentials
        self._sign_outs = sign_outs

    async def WhoAmI(self, _: pb.WhoAmIRequest, context: Context) -> pb.WhoAmIResponse:
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

    async def EndSession(self, request: pb.EndSessionRequest, _: Context) -> pb.EndSessionResponse:
        given = request.HasField("expire_time")
        expires_at = moment(request.expire_time, "expire_time") if given else None
        await self._sign_outs.end(current_principal().subject, request.session_id, expires_at)
        return pb.EndSessionResponse()
