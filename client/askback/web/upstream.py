"""The service as the gateway calls it: always in the name of the person or program that made the request."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message

from askback._wire.channel import Endpoint
from askback._wire.forking import forget_channel
from askback.web.callers import Caller
from askback.web.contract import Method
from askback.web.refused import Refused

REQUEST_ID = "askback-request-id"
Metadata = tuple[tuple[str, str], ...]
CALLS_PER_CHANNEL = 64
"""Calls on one connection. The service takes 100, and further ones would wait."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The response of a call, and its metadata."""

    message: Message
    initial: Any
    trailing: Any  # grpc.aio.Metadata: pairs of a name and a value


def new_request_id() -> str:
    """An id for the log lines of a call, here and in the service."""
    return secrets.token_hex(8)


class Upstream:
    """The channels to the service. Unary calls share channels; a stream has its own, so that a reader that is
    slow holds up no other."""

    def __init__(self, endpoint: Endpoint, *, only_healthy: bool = True) -> None:
        """`only_healthy`: as in `Endpoint.open`."""
        self._endpoint = endpoint
        self._only_healthy = only_healthy
        self._running: Counter[grpc.aio.Channel] = Counter()

    def metadata(self, caller: Caller, request_id: str) -> Metadata:
        """The metadata of a call in the caller's name. Raises Refused.

        The gateway's own certificate must never stand for a person, so with one each call needs a token.
        """
        tls = self._endpoint.tls
        if (
            tls is not None
            and tls.private_key
            and not any(key == "authorization" for key, _ in caller.metadata)
        ):
            raise Refused(grpc.StatusCode.UNAUTHENTICATED, "sign in with a token", "SIGN_IN_REQUIRED")
        return (*caller.metadata, (REQUEST_ID, request_id))

    def start(
        self,
        channel: grpc.aio.Channel,
        method: Method,
        request: Message,
        caller: Caller,
        request_id: str,
        seconds: float,
    ) -> Any:
        """Start a unary call. Raises Refused."""
        call = channel.unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return call(request, metadata=self.metadata(caller, request_id), timeout=seconds)

    def watch(self, channel: grpc.aio.Channel, method: Method, request: Message, metadata: Metadata) -> Any:
        """Start a call with a stream of responses."""
        call: Any = channel.unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return call(request, metadata=metadata)

    def dial(self, channel: grpc.aio.Channel, method: Method, metadata: Metadata) -> Any:
        """Start a call with streams in both directions."""
        call: Any = channel.stream_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return call(metadata=metadata)

    @contextmanager
    def shared(self) -> Iterator[grpc.aio.Channel]:
        """A channel with room for a call."""
        channel = next((c for c, calls in self._running.items() if calls < CALLS_PER_CHANNEL), None)
        if channel is None:
            channel = self.open()
        self._running[channel] += 1
        try:
            yield channel
        finally:
            self._running[channel] -= 1

    def open(self) -> grpc.aio.Channel:
        """A channel for one stream; give it to `discard`."""
        return self._endpoint.open(only_healthy=self._only_healthy)

    async def discard(self, channel: grpc.aio.Channel) -> None:
        """Close a channel, with its calls."""
        forget_channel(channel)
        await channel.close(None)

    async def close(self) -> None:
        """Close the shared channels."""
        for channel in [*self._running]:
            await self.discard(channel)
        self._running.clear()
