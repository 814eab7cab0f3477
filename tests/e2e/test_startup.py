"""Starting a server: wrong settings are refused with one line, right ones serve."""

import sys
from pathlib import Path

import pytest

from askback import Client
from tests.support.processes import Process, Processes, Server, eventually, quiet_port

ASKBACK = str(Path(sys.executable).with_name("askback"))


def _serve(processes: Processes, db: str, *options: str, name: str = "refused") -> Process:
    return processes.askback(name, "serve", "--db", db, "--listen", "127.0.0.1:0", *options)


async def expect_refusal(process: Process, code: int, *words: str) -> None:
    assert await process.wait_for_end() == code, process.story()
    for word in words:
        assert word in process.log
    assert "Traceback" not in process.log
    assert len(process.log.splitlines()) == 1, process.log


async def test_a_port_in_use_fails_the_start(processes: Processes, tmp_path: Path) -> None:
    """Exit code 1, and the message names the address. The first server keeps serving."""
    server = await processes.server(f"sqlite+aiosqlite:///{tmp_path / 'first.db'}")
    second = _serve(processes, f"sqlite+aiosqlite:///{tmp_path / 'second.db'}", "--listen", server.target)
    await expect_refusal(second, 1, "askback: cannot start", server.target)
    async with Client(server.target) as client:
        await client.start("anything")


async def test_an_unreachable_database_fails_the_start(processes: Processes, tmp_path: Path) -> None:
    """Exit code 1 and the reason, on both databases, without the password."""
    unreachable = f"postgresql+asyncpg://me:secret@127.0.0.1:{quiet_port()}/askback"
    gone = _serve(processes, unreachable, name="gone")
    nowhere = _serve(processes, f"sqlite+aiosqlite:///{tmp_path / 'no' / 'folder' / 'a.db'}", name="nowhere")
    await expect_refusal(gone, 1, "askback: cannot start", "refused")
    await expect_refusal(nowhere, 1, "askback: cannot start", "a.db.lock: No such file or directory")
    assert "secret" not in gone.log


async def test_a_wrong_setting_is_refused_with_a_hint(processes: Processes, tmp_path: Path) -> None:
    """Exit code 2, and the message says which values are right."""
    wrong = {
        "is not HOST:PORT": ["--listen", "every where"],
        "--lease-ttl 0.1 must be between": ["--lease-ttl", "0.1"],
        "use sqlite+aiosqlite:///FILE or postgresql+asyncpg://": ["--db", "mysql://x"],
        "there is no such file": ["--auth", "/nowhere/tokens.toml"],
    }
    db = f"sqlite+aiosqlite:///{tmp_path / 'a.db'}"
    started = [_serve(processes, db, *options, name=options[0]) for options in wrong.values()]
    for process, words in zip(started, wrong, strict=True):
        await expect_refusal(process, 2, words)


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_serve_refuses_an_outdated_postgresql_schema(processes: Processes, db_url: str) -> None:
    """On PostgreSQL serve does not migrate without --migrate: it names the command, and serves after it."""
    await expect_refusal(_serve(processes, db_url), 1, "run `askback migrate`")
    for turn in ("first", "again"):
        migrate = processes.askback(turn, "migrate", "--db", db_url)
        assert await migrate.wait_for_end() == 0, migrate.log
        assert "the schema is up to date" in migrate.out
    server = await processes.server(db_url)
    async with Client(server.target) as client:
        await client.start("anything")


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_two_replicas_may_migrate_at_once(processes: Processes, db_url: str) -> None:
    """With --migrate at both, one migrates, the other waits, and both serve."""
    servers = [Server(name, db_url, processes.folder, migrate="true") for name in ("a", "b")]
    for server in servers:
        processes.add(server)
        server.start()
    for server in servers:
        await server.ready()


async def test_serve_creates_a_new_sqlite_database(processes: Processes, tmp_path: Path) -> None:
    """The command of the README: `askback health --wait` ends when the server is ready."""
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
