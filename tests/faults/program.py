"""Shared by the worker, console and client programs: connections, orders from stdin, periodic reports."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc

from askback._wire import connection
from askback._wire.channel import Endpoint
from askback._wire.status import from_rpc, is_transient
from askback.errors import AskbackError
from tests.faults.history import Recorder

connection.OPEN_SECONDS = 4.0  # the default, 20 s on a half-open connection, is too long for a short run
CALL_SECONDS = 4.0


class RandomEndpoint:
    """An `Endpoint` of all replicas: each new channel goes to a random one. The token is `USER-token`."""

    def __init__(self, targets: list[str], user: str, rng: random.Random) -> None:
        self._endpoints = [Endpoint(target, token=f"{user}-token") for target in targets]
        self._rng = rng
        self.target = self.address = targets[0]
        self.tls = None

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata that identifies the caller."""
        return self._endpoints[0].metadata()

    def open(self) -> grpc.aio.Channel:
        """Open a channel to a random replica."""
        return self._rng.choice(self._endpoints).open()

    def each(self) -> list[grpc.aio.Channel]:
        """Open a channel to each replica."""
        return [endpoint.open() for endpoint in self._endpoints]


async def until_known(call: Callable[[], Awaitable[Any]], rng: random.Random) -> Any:
    """Retry an idempotent call until its outcome is known. Raises AskbackError if it is refused."""
    pause = 0.05
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            failure = from_rpc(error)
            # An error without a reason comes from grpc (a broken connection), not from the service.
            if failure.reason and not is_transient(failure):
                raise failure from error
        await asyncio.sleep(pause * rng.uniform(0.5, 1.5))
        pause = min(pause * 2, 1.0)


def refusal(error: AskbackError) -> dict[str, str]:
    """The fields of an error for the history."""
    return {"code": error.code, "why": error.reason.removeprefix("ERROR_REASON_"), "text": error.message}


def _skew_clock(seconds: float) -> None:
    """Shift this process's wall clock."""
    true = time.time
    time.time = lambda: true() + seconds


class Program:
    """A worker, console or client: its arguments, its history, and orders from standard input."""

    def __init__(
        self,
        name: str,
        targets: list[str],
        history: str,
        seed: str,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.options = options or {}
        self.rng = random.Random(f"{seed}/{name}")
        self.record = Recorder(Path(history))
        self.endpoint = RandomEndpoint(targets, name, self.rng)
        self.counts: dict[str, int] = {}
        self._orders: asyncio.Queue[str] = asyncio.Queue()
        if skew := self.options.get("skew"):
            _skew_clock(float(skew))

    @classmethod
    def from_command_line(cls) -> Program:
        """Create the program from this process's argument, a JSON document."""
        return cls(**json.loads(sys.argv[1]))

    def count(self, what: str, more: int = 1) -> None:
        """Add to a counter; counters are sent with every report."""
        self.counts[what] = self.counts.get(what, 0) + more

    def report(self, **facts: Any) -> None:
        """Report facts and counters to the parent process."""
        print(json.dumps({**facts, "counts": self.counts}), flush=True)

    async def next_order(self) -> str:
        """The next order; `end` if the parent process has ended."""
        return await self._orders.get()

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run `main`, with a report every second."""
        logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
        gc.set_threshold(50_000, 50, 100)

        async def whole() -> None:
            loop = asyncio.get_running_loop()
            reader = asyncio.StreamReader()
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

            async def listen() -> None:
                while line := await reader.readline():
                    self._orders.put_nowait(line.decode().strip())
                self._orders.put_nowait("end")

            async def report_counters() -> None:
                while True:
                    self.report()
                    await asyncio.sleep(1)

            tasks = [asyncio.create_task(listen()), asyncio.create_task(report_counters())]
            await main()
            self.report(left=True)
            for task in tasks:
                task.cancel()

        asyncio.run(whole())
