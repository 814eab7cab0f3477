"""The service works behind PgBouncer in session mode and is refused in other modes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from askback_server.__main__ import migrate
from askback_server.domain.errors import StorageUnavailable
from askback_server.storage import postgres as storage_postgres
from askback_server.storage.database import Database
from askback_server.storage.migrate import describe, upgrade
from askback_server.storage.pooler import refuse_shared_connections
from askback_server.storage.postgres import Postgres
from askback_server.storage.postgres_pools import WRITER_SETTINGS
from tests.support.pgbouncer import PgBouncer
from tests.support.postgres import PostgresServer
from tests.support.requests import confirm
from tests.support.service import serving
from tests.support.waiting import until

Pooled = Callable[..., str]


@pytest.fixture(autouse=True)
def always_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests probe each address once (`tests.support.pooler_probe`)."""
    monkeypatch.setattr(storage_postgres, "refuse_shared_connections", refuse_shared_connections)


@pytest.fixture
def start_pgbouncer() -> Iterator[Pooled]:
    """Starts PgBouncer in a pool mode; returns the URL of the database through it."""
    started: list[PgBouncer] = []

    def start(url: str, pool_mode: str, *more: str) -> str:
        started.append(PgBouncer(url, pool_mode, *more))
        return started[-1].url

    yield start
    for pooler in started:
        pooler.stop()


async def test_the_service_works_behind_pgbouncer_in_session_mode(
    postgres: PostgresServer, start_pgbouncer: Pooled
) -> None:
    empty = postgres.create_database()
    try:
        url = start_pgbouncer(empty, "session")
        await asyncio.to_thread(upgrade, url)
        async with serving(url, replica="a") as a, serving(url, replica="b") as b:
            await until(lambda: a.service.replica.feed.wakeups.live and b.service.replica.feed.wakeups.live)
            console, worker = b.console(), a.worker()
            await console.hello()
            await console.snapshot()
            await worker.hello("w")
            prompt = await a.create_prompt(confirm())
            assert (await console.event("upserted")).prompt.prompt_id == prompt.prompt_id
            job = await b.create("w")
            assert (await worker.next_job()).job.job_id == job.job_id
            # Settings that PgBouncer refuses when connecting are still in force.
            database = a.service._database
            assert database is not None
            assert isinstance(database._dialect, Postgres)
            writer = await database._dialect._connection()
            found = {name: await writer.fetchval(f"SHOW {name}") for name in WRITER_SETTINGS}
            assert found == {**WRITER_SETTINGS, "tcp_user_timeout": found["tcp_user_timeout"]}
    finally:
        postgres.drop_database(empty)


@pytest.mark.parametrize(
    ("mode", "round_robin", "processes"),
    [("transaction", 0, 1), ("transaction", 1, 1), ("transaction", 0, 3), ("statement", 0, 1)],
)
async def test_pgbouncer_with_shared_connections_is_refused_with_the_setting_to_change(
    mode: str,
    round_robin: int,
    processes: int,
    pg_url: str,
    start_pgbouncer: Pooled,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = start_pgbouncer(pg_url, mode, "min_pool_size = 4", f"server_round_robin = {round_robin}")
    said = r"pooler in transaction mode.*pool_mode = session.*--db lead to PostgreSQL itself"
    for _ in range(3):
        if processes > 1:  # statements of an ended process still exist under the same names
            monkeypatch.setattr("asyncpg.connection._uid", 0)
        with pytest.raises(StorageUnavailable, match=said):
            await Database.open(url)
        with pytest.raises(StorageUnavailable, match=said):
            await asyncio.to_thread(upgrade, url)
        with pytest.raises(StorageUnavailable, match=said):
            await asyncio.to_thread(describe, url)
    assert await asyncio.to_thread(migrate, {"db": url}) == 1
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "pool_mode = session" in printed
