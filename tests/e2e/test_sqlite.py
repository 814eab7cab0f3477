"""SQLite with a second server, after a kill, on a full disk and on a read-only disk."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from askback import Client
from askback.v1.job_service_pb2 import CreateJobRequest
from askback.v1.job_service_pb2_grpc import JobServiceStub
from tests.e2e.test_startup import _serve, expect_refusal
from tests.support.processes import Processes, eventually
from tests.support.requirements import absent


class Disk:
    """A small file system, mounted for the test. Needs root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        folder.mkdir()
        self._mount("-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder))

    def _mount(self, *words: str) -> None:
        done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            absent("mount", f"no file system can be mounted here: {done.stderr.strip()}")

    def fill(self) -> None:
        """Leave no free space, nor an old write-ahead log: SQLite could overwrite that without free space."""
        if (file := self.folder / "askback.db").exists():
            sqlite3.connect(file).execute("PRAGMA wal_checkpoint").connection.close()
        filler = os.open(self._filler, os.O_WRONLY | os.O_CREAT)
        with suppress(OSError):
            while True:
                os.write(filler, b"\0" * 4096)
        os.close(filler)

    def clear(self) -> None:
        """Free the space again."""
        self._filler.unlink()

    def read_only(self, on: bool) -> None:
        """Make the file system read-only, or writable again."""
        self._mount("-o", f"remount,{'ro' if on else 'rw'}", str(self.folder))

    @property
    def db(self) -> str:
        """The URL of a database on this disk."""
        return f"sqlite+aiosqlite:///{self.folder / 'askback.db'}"

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True, check=False)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "disk")
    yield disk
    disk.unmount()


async def test_a_second_server_is_refused_while_the_first_lives(processes: Processes, tmp_path: Path) -> None:
    """One line names the first server. After a SIGKILL of it a new server starts."""
    db = f"sqlite+aiosqlite:///{tmp_path / 'a.db'}"
    first = await processes.server(db, name="first")
    second = _serve(processes, db)
    await expect_refusal(
        second, 1, "askback: cannot start", f"(pid {first.pid}, replica first)", "PostgreSQL"
    )
    async with Client(first.target) as client:
        run = await client.start("anything")
        first.kill()
        third = await processes.server(db, name="third")
        async with Client(third.target) as other:
            assert (await other.get(run.job_id)).job_id == run.job_id


async def test_a_full_disk_is_reported_and_recovered_from(processes: Processes, disk: Disk) -> None:
    """Writes fail with UNAVAILABLE and the reason while the disk is full, and succeed as soon as it has free
    space. Acknowledged jobs stay readable."""
    server = await processes.server(disk.db)
    acknowledged = []
    async with grpc.aio.insecure_channel(server.target) as channel, Client(server.target) as client:
        stub = JobServiceStub(channel)
        text = json.dumps("x" * 100_000)

        async def create(name: str) -> str:
            request = CreateJobRequest(job_type="t", input_json=text, request_id=name)
            return str((await stub.CreateJob(request, timeout=20)).job.job_id)

        acknowledged.append(await create("kept"))
        disk.fill()
        refused = await unavailable([create(f"more-{n}") for n in range(100)], acknowledged)
        assert "SQLite cannot write" in refused or "does not answer" in refused, refused
        assert [(await client.get(i)).job_id for i in acknowledged] == acknowledged
        disk.clear()
        await eventually(lambda: can_create(create, acknowledged), "the disk has free space again")
        assert [(await client.get(i)).job_id for i in acknowledged] == acknowledged
    server.kill()
    await server.serve()
    async with Client(server.target) as client:
        assert [(await client.get(i)).job_id for i in acknowledged] == acknowledged


def check_unavailable(error: grpc.aio.AioRpcError) -> None:
    """UNAVAILABLE is the only status that a full disk may cause."""
    assert error.code() is grpc.StatusCode.UNAVAILABLE, error


async def unavailable(tries: list[Awaitable[str]], acknowledged: list[str]) -> str:
    """Await the calls until one is refused; return its message. Adds earlier results to `acknowledged`."""
    for number, attempt in enumerate(tries):
        try:
            acknowledged.append(await attempt)
        except grpc.aio.AioRpcError as error:
            check_unavailable(error)
            await asyncio.gather(*tries[number + 1 :], return_exceptions=True)
            return error.details() or ""
    raise AssertionError("the disk never was full")


async def can_create(create: Callable[[str], Awaitable[str]], acknowledged: list[str]) -> bool:
    """Whether a job can be created. Adds it to `acknowledged`."""
    try:
        acknowledged.append(await create("again"))
    except grpc.aio.AioRpcError as error:
        check_unavailable(error)
        return False
    return True


async def test_a_start_on_a_full_disk_is_refused(processes: Processes, disk: Disk) -> None:
    disk.fill()
    await expect_refusal(_serve(processes, disk.db, name="new"), 1, "askback: cannot start", str(disk.folder))
    disk.clear()
    server = await processes.server(disk.db)
    assert await server.terminate() == 0
    disk.fill()
    await expect_refusal(_serve(processes, disk.db, name="old"), 1, "askback: cannot start", str(disk.folder))


async def test_a_start_on_a_read_only_disk_is_refused(processes: Processes, disk: Disk) -> None:
    server = await processes.server(disk.db)
    assert await server.terminate() == 0
    disk.read_only(True)
    await expect_refusal(_serve(processes, disk.db), 1, "askback: cannot start", "Read-only file system")
    disk.read_only(False)
    await server.serve()
