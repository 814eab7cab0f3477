"""The server of a test: it runs in this process, in its own thread and event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar, Unpack

from askback._client.client import Client, ClientOptions, entered
from askback._client.run import Run
from askback._client.unawaited import must_await
from askback._wire.channel_echoes import without_echoes
from askback._worker.worker import Worker
from askback.errors import AskbackError
from askback.testing.human import NAME, Human

T = TypeVar("T")
_START_SECONDS = 30.0
"""Seconds that starting and stopping may take at most."""


class _Replica(Protocol):
    """What this module uses of `askback_server.in_process.InProcessReplica`, which it imports by name."""

    async def start(self) -> str: ...
    async def stop(self) -> None: ...
    async def advance(self, span: timedelta, is_left: Callable[[str], bool], timeout: float) -> None: ...
    @property
    def clock(self) -> Any: ...


class _TestClient(Client):
    """A client whose runs raise the failure of the scripted human."""

    check: Callable[[], None]

    def _handle(self, job_id: str, prompt: Any, returns: Any) -> Run[Any]:
        return _TestRun(job_id, self._calls, prompt=prompt, returns=returns, check=self.check)


class _TestRun(Run[Any]):
    """A run of a test."""

    def __init__(self, *args: Any, check: Callable[[], None], **options: Any) -> None:
        super().__init__(*args, **options)
        self._check = check

    @must_await("run.result")
    async def result(self, timeout: timedelta | float | None = None) -> Any:
        """As Run.result. Raises AssertionError for a prompt that no rule expected."""
        __tracebackhide__ = True
        try:
            result = await super().result(timeout)
        except (AskbackError, TimeoutError):
            self._check()
            raise
        self._check()
        return result


class Server:
    """A server in test mode on a new SQLite file, at `target` on loopback; only for one test."""

    def __init__(self, folder: Path) -> None:
        try:
            module = import_module("askback_server.in_process")
        except ModuleNotFoundError as error:
            raise RuntimeError(
                f"a test server needs the service (no module {error.name!r}): pip install 'askback[testing]'"
            ) from None
        self.replica: _Replica = module.InProcessReplica(folder, self._on_job_created)
        self.target = ""
        self.human: Human | None = None
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(without_echoes)
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="askback test server", daemon=True
        )
        self._namespaces = {"default"}
        self._consoles: set[asyncio.Task[None]] = set()
        self._workers: dict[Worker, asyncio.Task[None]] = {}
        self._clients: dict[tuple[asyncio.AbstractEventLoop, str], Client] = {}
        self._cleanups: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start serving."""
        self._thread.start()
        try:
            self.target = self.submit(self.replica.start()).result(_START_SECONDS)
        except BaseException:
            self._end_loop()
            raise

    def stop(self) -> None:
        """Stop at once, and clean up in the tests' loops."""
        for task in self._cleanups:
            if not task.get_loop().is_closed():
                task.get_loop().call_soon_threadsafe(task.cancel)
        try:
            self.submit(self._end()).result(_START_SECONDS)
        finally:
            self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_SECONDS)
        self._loop.close()

    async def _end(self) -> None:
        for task in self._consoles:
            task.cancel()
        await asyncio.gather(*self._consoles, return_exceptions=True)
        await self.replica.stop()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine in the server's loop, from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def connect_human(self, human: Human) -> None:
        """Let a scripted human answer in every namespace. Returns when it is connected."""
        self.human = human
        self.submit(self._connect_human(human)).result(_START_SECONDS)

    async def _connect_human(self, human: Human) -> None:
        await asyncio.gather(*(self._open_console(human, namespace) for namespace in self._namespaces))

    def _on_job_created(self, namespace: str) -> None:
        """Connect the human to the namespace of a new job. Called in the server's loop."""
        if namespace not in self._namespaces:
            self._namespaces.add(namespace)
            if self.human is not None:
                self._open_console(self.human, namespace)

    def _open_console(self, human: Human, namespace: str) -> asyncio.Future[None]:
        """Open a console in one namespace for the human; returns a future for its readiness."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._consoles.add(asyncio.create_task(self._answer_all(human, namespace, ready)))
        return ready

    async def _answer_all(self, human: Human, namespace: str, ready: asyncio.Future[None]) -> None:
        try:
            async with Client(self.target, user=NAME, namespace=namespace) as client:
                await human.answer_all(client, lambda: ready.set_result(None))
        except Exception as error:
            human.fail(AssertionError(f"the scripted human broke down: {error!r}"))
            if not ready.done():
                ready.set_exception(error)

    def check(self) -> None:
        """Raise the failure of the scripted human, if there is one."""
        __tracebackhide__ = True
        if self.human is not None:
            self.human.check()

    def client(self, **options: Unpack[ClientOptions]) -> Client:
        """A client of this server; the options are those of Client. Use it with `async with`."""
        client = _TestClient(self.target, **options)
        client.check = self.check
        return client

    async def work(self, worker: Worker) -> None:
        """Run a worker at this server, in this loop, until the test ends. May be called repeatedly."""
        running = self._workers.get(worker)
        if running is not None and not running.done() and running.get_loop() is asyncio.get_running_loop():
            return
        here = worker.at(self.target, user="worker")
        await here.start(_START_SECONDS)
        self._workers[worker] = self._call_at_end(lambda: here.aclose(drain_timeout=0))

    async def client_for(self, worker: Worker) -> Client:
        """The client that job functions start on: the entered one if it uses this server, else a new one."""
        await self.work(worker)
        around = entered.get()
        if around is not None and around._calls.endpoint.target == self.target:
            return around
        key = (asyncio.get_running_loop(), worker.namespace)
        if key not in self._clients:
            self._clients[key] = self.client(user="test", namespace=key[1])
            self._call_at_end(self._clients[key].aclose)
        return self._clients[key]

    def _call_at_end(self, end: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Start a task in this loop that calls `end` at the end of the test."""
        task = asyncio.create_task(_until_cancelled(end))
        self._cleanups.add(task)
        return task


async def _until_cancelled(end: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Wait until the loop cancels this task, and then call `end`."""
    try:
        await asyncio.Event().wait()
    finally:
        await end()
