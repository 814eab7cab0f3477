"""AccessService for the sign-in, in the name of the person who signs in or out."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from askback.v1 import access_service_pb2 as pb
from askback.web.callers import Caller
from askback.web.contract import METHODS
from askback.web.upstream import Upstream, new_request_id

_WHOAMI = METHODS["/askback.v1.AccessService/WhoAmI"]
_END_SESSION = METHODS["/askback.v1.AccessService/EndSession"]
_SECONDS = 10.0
"""Deadline of a call: a person waits for it."""


class AccessCalls:
    """Implements the Access protocol of `sign_in`."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def whoami(self, caller: Caller) -> pb.WhoAmIResponse:
        """The caller as the service knows it."""
        with self._upstream.shared() as channel:
            request_id = new_request_id()
            call = self._upstream.start(channel, _WHOAMI, pb.WhoAmIRequest(), caller, request_id, _SECONDS)
            identity: pb.WhoAmIResponse = await call
            return identity

    async def end_session(self, caller: Caller) -> None:
        """End the caller's session for all gateways, until it would be over."""
        request = pb.EndSessionRequest(session_id=caller.session_id)
        if caller.expires_at is not None:
            request.expire_time.CopyFrom(Timestamp(seconds=int(caller.expires_at) + 1))
        with self._upstream.shared() as channel:
            await self._upstream.start(channel, _END_SESSION, request, caller, new_request_id(), _SECONDS)
