"""A client in processes that fork, as gunicorn with --preload and Celery's prefork pool do."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import pytest

from tests.support.fake_server import FakeServer, get_job


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        server.unary["GetJob"] = get_job
        yield server


PREFORK = """
import asyncio, os, sys
from askback import Client

client = Client(sys.argv[1])  # made at import, as by gunicorn --preload and Celery's prefork pool
way = sys.argv[2]

async def get():
    async with asyncio.timeout(5):
        return (await client.get("j")).job_id

async def get_and_close():
    async with client:
        return await get()

loop = asyncio.new_event_loop()
if way in ("used", "used, same loop"):
    loop.run_until_complete(get())
elif way == "used and closed":
    loop.run_until_complete(get_and_close())
pids = []
for _ in range(2):
    pid = os.fork()
    if pid:
        pids.append(pid)
        continue
    try:
        found = loop.run_until_complete(get()) if way.endswith("same loop") else asyncio.run(get())
    except RuntimeError as error:
        found = f"RuntimeError {error}"
    sys.stdout.write(found + "\\n")  # at once, for the other child writes to the same pipe
    sys.stdout.flush()
    sys.exit(0)  # with all that an interpreter does at its end
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids], flush=True)
if way == "used":
    print("the parent", loop.run_until_complete(get()), flush=True)
"""


@pytest.mark.parametrize("way", ["made", "used", "used, same loop", "used and closed"])
async def test_a_client_works_or_raises_after_a_fork(server: FakeServer, way: str) -> None:
    """It works, or it says in words why not; it never hangs and never aborts."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PREFORK,
        server.target,
        way,
        stdout=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "GRPC_ENABLE_FORK_SUPPORT"},
    )
    async with asyncio.timeout(30):
        output, _ = await program.communicate()
    said = output.decode().splitlines()
    assert program.returncode == 0
    if way in ("made", "used and closed"):
        assert said == ["j", "j", "[0, 0]"]
        return
    assert "[0, 0]" in said
    for words in ("RuntimeError process", "gRPC does not survive a fork", "worker_process_init"):
        assert output.decode().count(words) == 2
    assert ("the parent j" in said) == (way == "used")
