"""The server of a test: in this process, in a thread and a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar

from askback.client import Client
from askback.errors import AskbackError
from askback.run import Run
from askback.testing.human import NAME, Human
from askback.worker import Worker

T = TypeVar("T")
_SOON = 30.0
"""Seconds that starting and stopping may take at most."""


class _Stage(Protocol):
    """askback_server.test_mode.Stage. The client never imports the service but here, and by name."""

    async def start(self) -> str: ...
    async def stop(self) -> None: ...
    async def advance(self, span: timedelta, left: Callable[[str], bool], patience: float) -> None: ...
    @property
    def clock(self) -> Any: ...


class _TestClient(Client):
    """A client whose runs raise what made the scripted human give up."""

    human: Human | None = None

    def _handle(self, job_id: str, prompt: Any, returns: Any) -> Run[Any]:
        return _TestRun(job_id, self._calls, prompt=prompt, returns=returns, human=self.human)


class _TestRun(Run[Any]):
    """A run of a test."""

    def __init__(self, *args: Any, human: Human | None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._human = human

    async def result(self) -> Any:
        """As Run.result. Raises AssertionError for a prompt that no rule expected."""
        __tracebackhide__ = True
        try:
            result = await super().result()
        except AskbackError:
            self._check()
            raise
        self._check()
        return result

    def _check(self) -> None:
        __tracebackhide__ = True
        if self._human is not None:
            self._human.check()


class Server:
    """A server in test mode on a new SQLite file, at `target` on loopback; only for one test."""

    def __init__(self, folder: Path) -> None:
        try:
            module = import_module("askback_server.test_mode")
        except ModuleNotFoundError as error:
            raise RuntimeError(
                f"a test server needs the service (no module {error.name!r}): pip install 'askback[testing]'"
            ) from None
        self.stage: _Stage = module.Stage(folder)
        self.target = ""
        self.human: Human | None = None
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_without_echoes)
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="askback test server", daemon=True
        )
        self._sitting: list[Future[None]] = []
        self._hired: dict[Worker, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._clients: dict[asyncio.AbstractEventLoop, _TestClient] = {}

    def start(self) -> None:
        """Serve."""
        self._thread.start()
        self.target = self.soon(self.stage.start()).result(_SOON)

    def stop(self) -> None:
        """Stop at once."""
        for sitting in self._sitting:
            sitting.cancel()
        try:
            self.soon(self.stage.stop()).result(_SOON)
        finally:
            self.soon(_end_tasks()).result(_SOON)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_SOON)
            self._loop.close()

    def soon(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Do something in the server's loop, from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def seat(self, human: Human) -> None:
        """Let a scripted human answer what is asked here."""
        self.human = human
        ready: Future[None] = Future()
        self._sitting.append(self.soon(self._sit(human, ready)))
        ready.result(_SOON)

    async def _sit(self, human: Human, ready: Future[None]) -> None:
        async with Client(self.target, user=NAME) as client:
            try:
                await human.answer_all(client, lambda: ready.set_result(None))
            except BaseException as error:
                if not ready.done():
                    ready.set_exception(error)
                raise

    def client(self, **options: Any) -> Client:
        """A client of this server; options as Client's. Use it with `async with`."""
        client = _TestClient(self.target, **options)
        client.human = self.human
        return client

    async def work(self, worker: Worker) -> None:
        """Run a worker's functions at this server until the test's loop ends. Repeatable."""
        task = self._hired.get(worker)
        if task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop():
            return
        here = worker.at(self.target, user="worker")
        await here.start(_SOON)
        self._hired[worker] = asyncio.create_task(_until_cancelled(here.aclose))

    async def client_for(self, worker: Worker | None) -> Client:
        """The client that job functions start on: see askback.current."""
        if worker is not None:
            await self.work(worker)
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            client = self._clients[loop] = _TestClient(self.target, user="test")
            client.human = self.human
            self._closing.add(loop.create_task(_until_cancelled(client.aclose)))
        return self._clients[loop]


def _without_echoes(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """grpc.aio has one queue for all loops of a process: what was meant for the loop of an earlier test,
    closed since, ends up in this one. That is no error of anybody's."""
    echo = isinstance(context.get("exception"), RuntimeError | BlockingIOError)
    if not (echo and "PollerCompletionQueue" in repr(context.get("handle"))):
        loop.default_exception_handler(context)


async def _until_cancelled(end: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Stay until the loop that this runs in ends its tasks, and then call `end`."""
    try:
        await asyncio.Event().wait()
    finally:
        await end()


async def _end_tasks() -> None:
    """Wait until every other task of this loop has ended."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*others, return_exceptions=True)
