"""Simulated streams between clients and replicas: delayed, cut at any message, half-open, or refused.

Takes the place of grpc.aio: the client's Connection and the server's handlers run on it unchanged.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

import grpc
from grpc.aio import EOF  # type: ignore[attr-defined]

from askback._wire.channel import Endpoint
from askback.v1 import hitl_service_pb2, worker_service_pb2
from askback_server.transport.errors import code_of, to_caller_error, to_status
from tests.simulate.virtual_time import OrderedSet

WINDOW = 3
"""Messages in transit per direction; a writer waits when there are more."""
_MESSAGES = {
    "Converse": (hitl_service_pb2.ConverseRequest, hitl_service_pb2.ConverseResponse),
    "Work": (worker_service_pb2.WorkRequest, worker_service_pb2.WorkResponse),
}


class Judge(Protocol):
    """Checks the messages of a stream on the server's side."""

    def on_receive(self, message: Any) -> None:
        """The server has received the message."""

    def on_send(self, message: Any) -> None:
        """The server sends the message."""


def rpc_error(code: grpc.StatusCode, text: str, error: BaseException | None = None) -> grpc.aio.AioRpcError:
    trailing = grpc.aio.Metadata()
    if error is not None:
        trailing = grpc.aio.Metadata(("grpc-status-details-bin", to_status(error).SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, text)


class Pipe:
    """One direction of a stream: delays each message and keeps the order."""

    def __init__(self, link: Link, delay: Callable[[], float]) -> None:
        self._link = link
        self._delay = delay
        self._arrived: deque[Any] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._in_transit = 0
        self._last = 0.0
        self.end: BaseException | None = None
        """If set, raised to the reader at once, even if messages have arrived."""

    async def put(self, item: Any) -> None:
        while self._in_transit >= WINDOW:
            self._room.clear()
            await self._room.wait()
        self.send(item)

    def send(self, item: Any) -> None:
        loop = asyncio.get_running_loop()
        self._in_transit += 1
        # Later than the previous message: the loop does not order timers with equal times.
        self._last = max(self._last + 1e-6, loop.time() + self._delay())
        loop.call_at(self._last, self._arrive, item)

    def _arrive(self, item: Any) -> None:
        if not self._link.frozen:
            self._arrived.append(item)
            self._news.set()
            self._link.count_message()

    async def get(self) -> Any:
        while True:
            if self.end is not None:
                raise self.end
            if self._arrived:
                self._in_transit -= 1
                self._room.set()
                item = self._arrived.popleft()
                if isinstance(item, BaseException):
                    self.end = item
                    raise item
                return item
            self._news.clear()
            await self._news.wait()

    def stop(self, end: BaseException) -> None:
        self.end = self.end or end
        self._news.set()
        self._room.set()
        self._in_transit = 0


class Link:
    """One stream, shared by the client's call and the server's context."""

    def __init__(self, network: Network, method: str, user: str) -> None:
        self._network = network
        self._method = method
        self._user = user
        network.dialled += 1
        rng = self._rng = Random(f"{network.seed} link {network.dialled}")
        slow = rng.choice([0.02, 0.02, 0.1, 0.5]) if network.faulty else 0.02
        self.up = Pipe(self, lambda: rng.uniform(0.001, slow))
        self.down = Pipe(self, lambda: rng.uniform(0.001, slow))
        self.request, self.response = _MESSAGES[method]
        self._serving: asyncio.Task[None] | None = None
        self.frozen = False
        self.closed = False
        self.at: Any = None
        self.judge: Judge | None = None
        fault = rng.choice(["", "", "cut", "cut", "freeze", "cut soon"]) if network.faulty else ""
        self._messages = {"cut": rng.randint(2, 30), "cut soon": rng.randint(0, 3)}.get(fault, -1)
        loop = asyncio.get_running_loop()
        if fault == "freeze":
            loop.call_later(rng.uniform(0.1, 8.0), self.freeze)
        loop.call_later(rng.uniform(0.001, 0.05), self._connect)

    def _connect(self) -> None:
        """Connect to one of the replicas, or fail if there is none."""
        if not self._network.replicas or (self._network.faulty and self._rng.random() < 0.1):
            self.down.stop(rpc_error(grpc.StatusCode.UNAVAILABLE, "no replica"))
        elif not self.closed:
            self.at = self._rng.choice(self._network.replicas)
            self.judge = self._network.judge(self._method, self._user, self.at)
            self.at.links.add(self)
            self._serving = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        try:
            await self.at.serve(self._method, self._user, _Context(self))
        except asyncio.CancelledError:
            return
        except Exception as error:
            shown = to_caller_error(error)
            self.down.send(rpc_error(code_of(shown), shown.message, shown))
        else:
            self.down.send(EOF)
        finally:
            self.at.links.discard(self)

    def count_message(self) -> None:
        """Count a message that has arrived on either side, and cut the stream if it is the last one."""
        self._messages -= 1
        if self._messages == 0:
            self.cut()

    def cut(self) -> None:
        """Break the stream for both sides; messages in transit are lost."""
        self.frozen = True
        self.down.stop(rpc_error(grpc.StatusCode.UNAVAILABLE, "connection reset"))
        self._end_server()

    def freeze(self) -> None:
        """Stop delivery silently. The server notices after a while."""
        if not self.closed:
            self.frozen = True
            asyncio.get_running_loop().call_later(self._rng.uniform(2.0, 30.0), self._end_server)

    def leave(self) -> None:
        """The client cancels the stream; the server does not notice if it is frozen."""
        self.closed = True
        self.down.stop(asyncio.CancelledError())
        if not self.frozen and self._serving is not None:
            asyncio.get_running_loop().call_later(self._rng.uniform(0.001, 0.05), self._end_server)

    def _end_server(self) -> None:
        if self._serving is not None:
            self._serving.cancel()


class _Call:
    """The client's call object, like that of grpc.aio."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def read(self) -> Any:
        return await self._link.down.get()

    async def write(self, message: Any) -> None:
        if self._link.down.end is not None:
            raise self._link.down.end
        # A copy, as over a wire: later changes of the message are not seen.
        await self._link.up.put(self._link.request.FromString(message.SerializeToString()))

    async def done_writing(self) -> None:
        self._link.up.send(EOF)

    def cancel(self) -> None:
        self._link.leave()


class _Context:
    """The server's context object, like that of grpc.aio."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def read(self) -> Any:
        message = await self._link.up.get()
        if message is not EOF and self._link.judge is not None:
            self._link.judge.on_receive(message)
        return message

    async def write(self, message: bytes) -> None:
        parsed = self._link.response.FromString(message)
        if self._link.judge is not None:
            self._link.judge.on_send(parsed)
        await self._link.down.put(parsed)


class _Channel:
    """The channel of a stub."""

    def __init__(self, network: Network, user: str) -> None:
        self._network = network
        self._user = user

    def unary_unary(self, *_: Any, **__: Any) -> Any:
        return None

    unary_stream = unary_unary

    def stream_stream(self, path: str, *_: Any, **__: Any) -> Callable[..., _Call]:
        return lambda metadata: _Call(Link(self._network, path.rpartition("/")[2], self._user))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return grpc.ChannelConnectivity.READY

    async def close(self, grace: float | None = None) -> None:
        pass


class Replica(Protocol):
    """A replica that serves links."""

    links: OrderedSet

    async def serve(self, method: str, user: str, context: Any) -> None:
        """Serve one stream to its end."""


class Network:
    """Creates the links of one simulation; while it is `faulty` they break at points drawn from the seed."""

    def __init__(self, seed: int, judge: Callable[[str, str, Any], Judge | None]) -> None:
        self.seed = seed
        self.judge = judge
        self.faulty = True
        self.replicas: list[Any] = []
        """The replicas that accept connections now."""
        self.dialled = 0

    def endpoint(self, user: str) -> Endpoint:
        network = self

        class SimulatedEndpoint(Endpoint):
            def open(self) -> Any:
                return _Channel(network, user)

        return SimulatedEndpoint("simulated", user=user)
