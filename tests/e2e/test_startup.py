"""What a person sees who starts it wrong, and then right."""

import sys
from pathlib import Path

import pytest

from askback import Client
from tests.support.processes import Process, Processes, Server, eventually, quiet_port

ASKBACK = str(Path(sys.executable).with_name("askback"))


def _serve(processes: Processes, db: str, *options: str, name: str = "refused") -> Process:
    return processes.askback(name, "serve", "--db", db, "--listen", "127.0.0.1:0", *options)


async def _refused(process: Process, code: int, *words: str) -> None:
    assert await process.wait_for_end() == code, process.story()
    for word in words:
        assert word in process.log
    assert "Traceback" not in process.log
    assert len(process.log.splitlines()) == 1, process.log


async def test_the_port_is_taken(processes: Processes, tmp_path: Path) -> None:
    """Exit code 1 and the address; the one that was there goes on."""
    server = await processes.server(f"sqlite+aiosqlite:///{tmp_path / 'first.db'}")
    second = _serve(processes, f"sqlite+aiosqlite:///{tmp_path / 'second.db'}", "--listen", server.target)
    await _refused(second, 1, "askback: cannot start", server.target)
    async with Client(server.target) as client:
        await client.start("anything")


async def test_the_database_cannot_be_reached(processes: Processes, tmp_path: Path) -> None:
    """Exit code 1 and why, on both kinds; no password in it."""
    nobody = f"postgresql+asyncpg://me:secret@127.0.0.1:{quiet_port()}/askback"
    gone = _serve(processes, nobody, name="gone")
    nowhere = _serve(processes, f"sqlite+aiosqlite:///{tmp_path / 'no' / 'folder' / 'a.db'}", name="nowhere")
    await _refused(gone, 1, "askback: cannot start", "refused")
    await _refused(nowhere, 1, "askback: cannot start", "a.db.lock: No such file or directory")
    assert "secret" not in gone.log


async def test_a_wrong_setting(processes: Processes, tmp_path: Path) -> None:
    """Exit code 2 and what would be right."""
    wrong = {
        "is not HOST:PORT": ["--listen", "every where"],
        "--lease-ttl 0.1 must be between": ["--lease-ttl", "0.1"],
        "use sqlite+aiosqlite:///FILE or postgresql+asyncpg://": ["--db", "mysql://x"],
        "there is no such file": ["--auth", "/nowhere/tokens.toml"],
    }
    db = f"sqlite+aiosqlite:///{tmp_path / 'a.db'}"
    started = [_serve(processes, db, *options, name=options[0]) for options in wrong.values()]
    for process, words in zip(started, wrong, strict=True):
        await _refused(process, 2, words)


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_the_schema_is_behind(processes: Processes, db_url: str) -> None:
    """On PostgreSQL nothing is migrated unasked: serve says what to run; after that it serves."""
    await _refused(_serve(processes, db_url), 1, "run `askback migrate`")
    for turn in ("first", "again"):
        migrate = processes.askback(turn, "migrate", "--db", db_url)
        assert await migrate.wait_for_end() == 0, migrate.log
        assert "the schema is up to date" in migrate.out
    server = await processes.server(db_url)
    async with Client(server.target) as client:
        await client.start("anything")


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_two_replicas_migrate_at_once(processes: Processes, db_url: str) -> None:
    """--migrate at both: one does it, the other waits, both serve."""
    servers = [Server(name, db_url, processes.folder, migrate="true") for name in ("a", "b")]
    for server in servers:
        processes.add(server)
        server.start()
    for server in servers:
        await server.ready()


async def test_sqlite_needs_nothing(processes: Processes, tmp_path: Path) -> None:
    """The command of the README: a new file, and `askback health` says that it is ready."""
    port = quiet_port()
    db = f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
    waiting = processes.askback("waiting", "health", "--wait", "60s", "--server", f"127.0.0.1:{port}")
    server = processes.command("new", ASKBACK, "serve", "--db", db, "--listen", f"127.0.0.1:{port}")
    await eventually(lambda: "askback serves on" in server.out, "it serves")
    assert await waiting.wait_for_end() == 0, waiting.log
    async with Client(f"127.0.0.1:{port}") as client:
        await client.start("anything")
    health = processes.askback("health", "health", "--server", f"127.0.0.1:{port}")
    assert await health.wait_for_end() == 0, health.log
    assert await server.terminate() == 0
    health.start()
    assert await health.wait_for_end() == 7
