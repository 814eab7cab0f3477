"""What workers, consoles and clients of a scene share: their ways in, their orders, their pulse."""

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

connection.OPEN_TIMEOUT = 4.0  # a half-open way shall not take 20 s of a short run
CALL_SECONDS = 4.0


class Entrances:
    """All replicas; each stream goes to one of them at random. In the place of an `Endpoint`."""

    def __init__(self, targets: list[str], user: str, groups: tuple[str, ...], dice: random.Random) -> None:
        self._ways = [Endpoint(target, user=user, groups=groups) for target in targets]
        self._dice = dice
        self.target = self.shown = targets[0]
        self.tls = None

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Who calls."""
        return self._ways[0].metadata()

    def open(self) -> grpc.aio.Channel:
        """A channel to one of them."""
        return self._dice.choice(self._ways).open()

    def each(self) -> list[grpc.aio.Channel]:
        """A channel to each of them."""
        return [way.open() for way in self._ways]


async def until_known(call: Callable[[], Awaitable[Any]], dice: random.Random) -> Any:
    """Make an idempotent call again and again until its outcome is known. Raises AskbackError: refused."""
    pause = 0.05
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            told = from_rpc(error)
            # Without a reason it is no word of the service's, but of grpc on a connection that broke.
            if told.reason and not is_transient(told):
                raise told from error
        await asyncio.sleep(pause * dice.uniform(0.5, 1.5))
        pause = min(pause * 2, 1.0)


def refusal(error: AskbackError) -> dict[str, str]:
    """What a history says of an error."""
    return {"code": error.code, "why": error.reason.removeprefix("ERROR_REASON_"), "text": error.message}


def _skew_clock(seconds: float) -> None:
    """This process's wall clock is wrong from now on."""
    true = time.time
    time.time = lambda: true() + seconds


class Program:
    """One party of the scene: arguments, history, orders from its standard input."""

    def __init__(
        self,
        name: str,
        groups: str,
        targets: list[str],
        history: str,
        seed: str,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.options = options or {}
        self.dice = random.Random(f"{seed}/{name}")
        self.record = Recorder(Path(history))
        asked = tuple(groups.split(",")) if groups else ()
        self.entrances = Entrances(targets, name, asked, self.dice)
        self.counts: dict[str, int] = {}
        self._orders: asyncio.Queue[str] = asyncio.Queue()
        if skew := self.options.get("skew"):
            _skew_clock(float(skew))

    @classmethod
    def from_command_line(cls) -> Program:
        """The one whose arguments are this process's, as one JSON document."""
        return cls(**json.loads(sys.argv[1]))

    def count(self, what: str, more: int = 1) -> None:
        """One more of these; told with the next pulse."""
        self.counts[what] = self.counts.get(what, 0) + more

    def tell(self, **facts: Any) -> None:
        """Tell whoever started this program."""
        print(json.dumps({**facts, "counts": self.counts}), flush=True)

    async def order(self) -> str:
        """The next order; `end` when whoever gives them is gone."""
        return await self._orders.get()

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run, with a pulse every second."""
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

            async def pulse() -> None:
                while True:
                    self.tell()
                    await asyncio.sleep(1)

            tasks = [asyncio.create_task(listen()), asyncio.create_task(pulse())]
            await main()
            self.tell(left=True)
            for task in tasks:
                task.cancel()

        asyncio.run(whole())
