"""Restate: its server with default settings; a handler in Python that waits for awakeables."""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import Any

import aiohttp
import restate
from hypercorn.asyncio import serve
from hypercorn.config import Config

from peers.peer import (
    QUESTIONS,
    PeerOfJobs,
    Question,
    Settings,
    WrongReply,
    answer_to,
    check_answer,
    free_port,
    question_of,
    start_program,
    stop_program,
    wait_for_port,
)

START_SECONDS = 60.0


class System(PeerOfJobs):
    """Restate. The handlers run in this process, as Askback's workers do."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._is_over = asyncio.Event()
        self._handlers: asyncio.Task[None] | None = None
        self._http: aiohttp.ClientSession | None = None
        self.ingress = ""

    async def start(self) -> None:
        """Start the server, serve the handlers and register them."""
        ingress, admin, node, handlers = (free_port() for _ in range(4))
        environment = {
            **os.environ,
            "RESTATE_BASE_DIR": str(self.settings.folder / "data"),
            "RESTATE_BIND_IP": "127.0.0.1",
            "RESTATE_ADVERTISED_HOST": "127.0.0.1",
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_BIND_PORT": str(node),
            "RESTATE_INGRESS__BIND_PORT": str(ingress),
            "RESTATE_ADMIN__BIND_PORT": str(admin),
            "RESTATE_DISABLE_TELEMETRY": "true",
            # By default a handler that has waited for a minute leaves the memory. Other systems are measured
            # meanwhile, so its next trip would show the replay of its journal.
            "RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT": "1h",
        }
        self._process = start_program([self.settings.program], self.settings.folder, environment)
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self.ingress = f"http://127.0.0.1:{ingress}"
        config = Config()
        config.bind = [f"127.0.0.1:{handlers}"]
        app: Any = restate.app(self.services())
        self._handlers = asyncio.create_task(serve(app, config, shutdown_trigger=self._is_over.wait))
        for port in (ingress, admin):
            await wait_for_port(port, self._process, START_SECONDS)
        await self._register(f"http://127.0.0.1:{admin}/deployments", f"http://127.0.0.1:{handlers}")
        await self.open_jobs()

    def services(self) -> list[Any]:
        """The services whose handlers run in this process."""
        return [_service(self)]

    async def _register(self, url: str, handlers: str) -> None:
        """Tell the server where the handlers are. Repeats until all parts of the server are up."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    await self.post(url, {"uri": handlers})
                    return
                except (WrongReply, aiohttp.ClientError):
                    await asyncio.sleep(0.5)

    async def post(self, url: str, body: Any) -> str:
        """Post JSON and return the body of the reply. Raises WrongReply for an error of the server."""
        assert self._http is not None
        async with self._http.post(url, json=body) as response:
            text: str = await response.text()
            if response.status >= 300:
                raise WrongReply(f"{url}: {response.status} {text}")
            return text

    async def stop(self) -> None:
        """Stop the server, then the handlers."""
        await asyncio.to_thread(stop_program, self._process)
        if self._http is not None:
            await self._http.close()
        if self._handlers is not None:
            self._is_over.set()
            self._handlers.cancel()
            await asyncio.gather(self._handlers, return_exceptions=True)

    async def begin(self, job_id: str) -> None:
        """Send an invocation without waiting for its result."""
        await self.post(f"{self.ingress}/Bench/ask/send", job_id)

    async def answer(self, job_id: str, question: Question) -> None:
        """Resolve the awakeable of a question."""
        url = f"{self.ingress}/restate/awakeables/{question['awakeable']}/resolve"
        await self.post(url, answer_to(question))

    async def job(self, lane: int) -> None:
        """Call a handler that only returns, and wait for its result."""
        if await self.post(f"{self.ingress}/Bench/work", lane) != str(lane):
            raise WrongReply("a job has another result")


def _service(peer: System) -> restate.Service:
    bench = restate.Service("Bench")

    @bench.handler()
    async def ask(ctx: restate.Context, job_id: str) -> int:
        for number in range(QUESTIONS):
            awakeable, answer = ctx.awakeable()

            def show(number: int = number, awakeable: str = awakeable) -> None:
                peer.show(job_id, question_of(job_id, number) | {"awakeable": awakeable})

            await ctx.run_typed("show", show)
            check_answer(await answer, job_id, number)
        await ctx.run_typed("end", lambda: peer.show(job_id, None))
        return QUESTIONS

    @bench.handler()
    async def work(_ctx: restate.Context, number: int) -> int:
        return number

    return bench
