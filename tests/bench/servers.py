"""The measured servers: each in its own process, on loopback, with a new database."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.processes import file_system
from tests.support.postgres import PostgresServer

START_SECONDS = 30.0
UNDER_TIMES = 20
"""Start times under another program, such as valgrind."""
STOP_SECONDS = 15.0

IN_MEMORY = ("tmpfs", "ramfs")
"""File systems in memory."""

SERVE = ("-m", "askback_server")
"""Arguments that start the server; `askback serve` does the same."""


@dataclass(frozen=True)
class RunningServer:
    """A running server."""

    target: str
    address: str
    pid: int
    db_pid: int = 0
    """The process id of the database server, if it runs on this machine."""


def disk_folder(wanted: Path | None) -> Path:
    """The folder for databases, also set as tempfile's default. Durable commits need a disk, not a tmpfs."""
    folder = (wanted or Path(tempfile.gettempdir())).resolve()
    if wanted is None and file_system(folder) in IN_MEMORY:
        folder = Path("/var/tmp")
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(folder)
    return folder


@contextmanager
def durable_postgres(wanted: bool) -> Iterator[PostgresServer | None]:
    """Run a PostgreSQL server whose commits are on disk; None unless it is wanted."""
    if not wanted:
        yield None
        return
    server = PostgresServer(fsync=True)
    server.start()
    try:
        for setting in ("fsync", "synchronous_commit"):
            if server.execute(f"SHOW {setting}") != "on":
                raise RuntimeError(f"{setting} is off in PostgreSQL: its commits are not durable")
        yield server
    finally:
        server.stop()


def loop_factory() -> Any:
    """The event loop of the client: uvloop if it is installed."""
    try:
        import uvloop

        return uvloop.new_event_loop
    except ImportError:
        return None


@contextmanager
def floor(under: Sequence[str] = ()) -> Iterator[RunningServer]:
    """Run the bare floor."""
    command = ["-m", "tests.bench.relay"]
    with _folder() as folder, serving(command, {}, folder, under=under) as (pid, address):
        yield RunningServer("bare floor", address, pid)


@contextmanager
def floor_on_sqlite() -> Iterator[RunningServer]:
    """Run the durable floor on a new SQLite file."""
    with _folder() as folder:
        command = ["-m", "tests.bench.durable", "--db", str(folder / "bench.db")]
        with serving(command, {}, folder) as (pid, address):
            yield RunningServer("durable floor, sqlite", address, pid)


@contextmanager
def floor_on_postgres(server: PostgresServer) -> Iterator[RunningServer]:
    """Run the durable floor on a new database of a PostgreSQL server."""
    url = server.create_database()
    command = ["-m", "tests.bench.durable", "--db", url.replace("+asyncpg", "")]
    try:
        with _folder() as folder, serving(command, {}, folder) as (pid, address):
            yield RunningServer("durable floor, postgres", address, pid, postmaster_of(server))
    finally:
        server.drop_database(url)


@contextmanager
def fanout() -> Iterator[RunningServer]:
    """Run the floor of consoles."""
    with _folder() as folder, serving(["-m", "tests.bench.fanout"], {}, folder) as (pid, address):
        yield RunningServer("floor", address, pid)


@contextmanager
def sqlite(more: Mapping[str, str] | None = None, under: Sequence[str] = ()) -> Iterator[RunningServer]:
    """Run Askback on a new SQLite file with default settings (WAL, synchronous=FULL) and `more`.

    `under` has the words before the command, of a program that runs others, such as valgrind.
    """
    with _folder() as folder:
        settings = {**(more or {}), "ASKBACK_DB": f"sqlite+aiosqlite:///{folder}/bench.db"}
        with serving(SERVE, settings, folder, under=under) as (pid, address):
            yield RunningServer("sqlite", address, pid)


@contextmanager
def postgres(
    server: PostgresServer, more: Mapping[str, str] | None = None, under: Sequence[str] = ()
) -> Iterator[RunningServer]:
    """Run Askback on a new database of a PostgreSQL server, with default settings, `more` and `under`."""
    dsn = server.create_database()
    settings = {**(more or {}), "ASKBACK_DB": dsn, "ASKBACK_MIGRATE": "1"}
    try:
        with _folder() as folder, serving(SERVE, settings, folder, under=under) as (pid, address):
            yield RunningServer("postgres", address, pid, postmaster_of(server))
    finally:
        server.drop_database(dsn)


@contextmanager
def replicas(server: PostgresServer, count: int) -> Iterator[list[RunningServer]]:
    """Run `count` replicas of Askback on one new database."""
    dsn = server.create_database()
    try:
        with ExitStack() as stack:
            running = []
            for number in range(count):
                folder = stack.enter_context(_folder())
                settings = {"ASKBACK_DB": dsn, "ASKBACK_MIGRATE": "1", "ASKBACK_REPLICA": f"r{number}"}
                pid, address = stack.enter_context(serving(SERVE, settings, folder))
                running.append(RunningServer("postgres", address, pid, postmaster_of(server)))
            yield running
    finally:
        server.drop_database(dsn)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="askback-bench-") as folder:
        yield Path(folder)


def postmaster_of(server: PostgresServer) -> int:
    """The process id of the postmaster; 0 if it runs on another machine."""
    pid = int(server.execute("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)"))
    try:
        name = Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return 0
    return pid if name.startswith("postgres") else 0


@contextmanager
def serving(
    command: Sequence[str],
    settings: dict[str, str],
    folder: Path,
    *,
    is_killed: bool = False,
    under: Sequence[str] = (),
) -> Iterator[tuple[int, str]]:
    """Run a server. Raises RuntimeError if it has ended at the end of the block, unless that `is_killed`."""
    # Default settings: inherit none of the caller's, nor the setting that only the client needs.
    ours = ("ASKBACK_", "GRPC_ENABLE_FORK_SUPPORT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment = {
        **kept,
        "ASKBACK_LISTEN": "127.0.0.1:0",
        "ASKBACK_DRAIN_GRACE": "1",
        "ASKBACK_LOG_LEVEL": "WARNING",
        **settings,
    }
    log = folder / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [*under, sys.executable, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        line = _first_line(process, START_SECONDS * (UNDER_TIMES if under else 1))
        if " serves on " not in line:
            raise RuntimeError(f"{' '.join(command)} did not start:\n{line}{_tail(log)}")
        yield process.pid, line.split(" serves on ", 1)[1].split()[0].rstrip(",;")
        if process.poll() is not None and not is_killed:
            raise RuntimeError(f"{' '.join(command)} ended ({process.returncode}):\n{_tail(log)}")
    except BaseException:
        sys.stderr.write(_tail(log))
        raise
    finally:
        _stop(process)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


def _first_line(process: subprocess.Popen[str], seconds: float) -> str:
    assert process.stdout is not None
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda out: lines.put(out.readline()), args=[process.stdout], daemon=True).start()
    try:
        return lines.get(timeout=seconds)
    except queue.Empty:
        return f"no output in {seconds} s\n"


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
