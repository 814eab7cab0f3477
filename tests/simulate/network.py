"""Streams between clients and replicas: late, cut at any message, half-open, or dialled in vain.

Stands where grpc.aio does: the client's Connection and the server's handlers run over it unchanged.
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
from askback_server.transport.errors import code_of, known, to_status
from tests.simulate.virtual_time import Ordered

WINDOW = 3
"""Messages on their way in one direction, after which a writer waits."""
_MESSAGES = {
    "Converse": (hitl_service_pb2.ConverseRequest, hitl_service_pb2.ConverseResponse),
    "Work": (worker_service_pb2.WorkRequest, worker_service_pb2.WorkResponse),
}


class Judge(Protocol):
    """Hears every message of a stream where the server says and hears it."""

    def heard(self, message: Any) -> None:
        """The server has taken it."""

    def said(self, message: Any) -> None:
        """The server sends it."""


def broken(code: grpc.StatusCode, text: str, error: BaseException | None = None) -> grpc.aio.AioRpcError:
    trailing = grpc.aio.Metadata()
    if error is not None:
        trailing = grpc.aio.Metadata(("grpc-status-details-bin", to_status(error).SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, text)


class Pipe:
    """One direction: in order, each message late."""

    def __init__(self, link: Link, delay: Callable[[], float]) -> None:
        self._link = link
        self._delay = delay
        self._arrived: deque[Any] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._under_way = 0
        self._last = 0.0
        self.end: BaseException | None = None
        """Raised to the reader at once, whatever has arrived."""

    async def put(self, item: Any) -> None:
        while self._under_way >= WINDOW:
            self._room.clear()
            await self._room.wait()
        self.send(item)

    def send(self, item: Any) -> None:
        loop = asyncio.get_running_loop()
        self._under_way += 1
        # Never at the same moment as the one before: timers that are due together have no order.
        self._last = max(self._last + 1e-6, loop.time() + self._delay())
        loop.call_at(self._last, self._arrive, item)

    def _arrive(self, item: Any) -> None:
        if not self._link.frozen:
            self._arrived.append(item)
            self._news.set()
            self._link.passed()

    async def get(self) -> Any:
        while True:
            if self.end is not None:
                raise self.end
            if self._arrived:
                self._under_way -= 1
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
        self._under_way = 0


class Link:
    """One stream. The client has it as its call, the server as its context."""

    def __init__(self, network: Network, method: str, user: str) -> None:
        self._network = network
        self._method = method
        self._user = user
        network.dialled += 1
        dice = self._dice = Random(f"{network.seed} link {network.dialled}")
        slow = dice.choice([0.02, 0.02, 0.1, 0.5]) if network.faulty else 0.02
        self.up = Pipe(self, lambda: dice.uniform(0.001, slow))
        self.down = Pipe(self, lambda: dice.uniform(0.001, slow))
        self.request, self.response = _MESSAGES[method]
        self._serving: asyncio.Task[None] | None = None
        self.frozen = False
        self.closed = False
        self.at: Any = None
        self.judge: Judge | None = None
        fate = dice.choice(["", "", "cut", "cut", "freeze", "cut soon"]) if network.faulty else ""
        self._messages = {"cut": dice.randint(2, 30), "cut soon": dice.randint(0, 3)}.get(fate, -1)
        loop = asyncio.get_running_loop()
        if fate == "freeze":
            loop.call_later(dice.uniform(0.1, 8.0), self.freeze)
        loop.call_later(dice.uniform(0.001, 0.05), self._reach)

    def _reach(self) -> None:
        """The dial arrives at one of the replicas, if there is one."""
        if not self._network.replicas or (self._network.faulty and self._dice.random() < 0.1):
            self.down.stop(broken(grpc.StatusCode.UNAVAILABLE, "nobody there"))
        elif not self.closed:
            self.at = self._dice.choice(self._network.replicas)
            self.judge = self._network.judge(self._method, self._user, self.at)
            self.at.links.add(self)
            self._serving = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        try:
            await self.at.serve(self._method, self._user, _Context(self))
        except asyncio.CancelledError:
            return
        except Exception as error:
            shown = known(error)
            self.down.send(broken(code_of(shown), shown.message, shown))
        else:
            self.down.send(EOF)
        finally:
            self.at.links.discard(self)

    def passed(self) -> None:
        """A message has arrived, on either side."""
        self._messages -= 1
        if self._messages == 0:
            self.cut()

    def cut(self) -> None:
        """Both sides learn that it is gone; what was under way is lost."""
        self.frozen = True
        self.down.stop(broken(grpc.StatusCode.UNAVAILABLE, "connection reset"))
        self._end_server()

    def freeze(self) -> None:
        """Nothing arrives any more, and nobody is told. The server finds out some time."""
        if not self.closed:
            self.frozen = True
            asyncio.get_running_loop().call_later(self._dice.uniform(2.0, 30.0), self._end_server)

    def leave(self) -> None:
        """The client gives the stream up; a frozen one tells nobody."""
        self.closed = True
        self.down.stop(asyncio.CancelledError())
        if not self.frozen and self._serving is not None:
            asyncio.get_running_loop().call_later(self._dice.uniform(0.001, 0.05), self._end_server)

    def _end_server(self) -> None:
        if self._serving is not None:
            self._serving.cancel()


class _Call:
    """The client's side, as grpc.aio gives it."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def read(self) -> Any:
        return await self._link.down.get()

    async def write(self, message: Any) -> None:
        if self._link.down.end is not None:
            raise self._link.down.end
        # As over a wire: what is changed afterwards is not seen.
        await self._link.up.put(self._link.request.FromString(message.SerializeToString()))

    async def done_writing(self) -> None:
        self._link.up.send(EOF)

    def cancel(self) -> None:
        self._link.leave()


class _Context:
    """The server's side, as a handler gets it."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def read(self) -> Any:
        message = await self._link.up.get()
        if message is not EOF and self._link.judge is not None:
            self._link.judge.heard(message)
        return message

    async def write(self, message: bytes) -> None:
        parsed = self._link.response.FromString(message)
        if self._link.judge is not None:
            self._link.judge.said(parsed)
        await self._link.down.put(parsed)


class _Channel:
    """What a stub is made over."""

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
    """What serves a link."""

    links: Ordered

    async def serve(self, method: str, user: str, context: Any) -> None:
        """One stream to its end."""


class Network:
    """Makes the links of one simulation; while it is `faulty` they break as the seed says."""

    def __init__(self, seed: int, judge: Callable[[str, str, Any], Judge | None]) -> None:
        self.seed = seed
        self.judge = judge
        self.faulty = True
        self.replicas: list[Any] = []
        """Those that can be dialled now."""
        self.dialled = 0

    def endpoint(self, user: str) -> Endpoint:
        network = self

        class Simulated(Endpoint):
            def open(self) -> Any:
                return _Channel(network, user)

        return Simulated("simulated", user=user)
