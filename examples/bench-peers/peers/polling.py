"""A small HTTP service without a channel: people poll it for questions twice a second. Nothing is durable."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp

from peers.peer import (
    LANES,
    Peer,
    Settings,
    WrongReply,
    answer_to,
    free_port,
    start_program,
    stop_program,
    wait_for_port,
)

START_SECONDS = 30.0
INTERVAL = 0.5
"""Seconds between two polls of a person."""


class System(Peer):
    """FastAPI. Jobs run inside the service and get their answers at once: only people poll."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._http: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Start the service, with a job for each lane."""
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(Path(__file__).parents[1])]
        command += ["--port", str(port), "--log-level", "error", "peers.polling_service:app"]
        self._process = start_program(command, self.settings.folder, dict(os.environ))
        await wait_for_port(port, self._process, START_SECONDS)
        connector = aiohttp.TCPConnector(limit=0)
        self._http = aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector)

    async def stop(self) -> None:
        """Stop the service."""
        if self._http is not None:
            await self._http.close()
        await asyncio.to_thread(stop_program, self._process)

    async def trip(self, lane: int) -> None:
        """Let the job of a lane ask. The person's next poll is up to `INTERVAL` away; then they answer."""
        await self._call("POST", f"/jobs/{lane}/ask")
        await asyncio.sleep(random.random() * INTERVAL)
        [question] = await self._call("GET", f"/jobs/{lane}/questions")
        await self._call("POST", f"/jobs/{lane}/answer", answer_to(question))

    async def job(self, lane: int) -> None:
        """Run a job that only returns, and wait for its result."""
        if await self._call("POST", f"/jobs/{LANES + lane}/run") != LANES + lane:
            raise WrongReply("a job has another result")

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        assert self._http is not None
        async with self._http.request(method, path, json=body) as response:
            if response.status != 200:
                raise WrongReply(f"{path}: {response.status} {await response.text()}")
            return await response.json()
