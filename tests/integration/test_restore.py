"""The database is restored to an earlier state: people see the prompts that this re-opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from askback import Client, Closing, ConsolePrompt, Run
from askback_server.config.settings import Config
from askback_server.domain.errors import StorageUnavailable
from askback_server.lifecycle import Service
from askback_server.storage.database import Database
from askback_server.storage.migrate import begin_history_after_restore, upgrade
from tests.support.backups import back_up, restore
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.waiting import until

SPEND_IDS = """
DO $$ BEGIN
    CREATE TEMP TABLE spent (n int);
    FOR n IN 1..20000 LOOP
        BEGIN INSERT INTO spent VALUES (n); EXCEPTION WHEN division_by_zero THEN NULL; END;
    END LOOP;
END $$
"""


@asynccontextmanager
async def running(url: str, port: int) -> AsyncIterator[Service]:
    config = Config(listen=f"127.0.0.1:{port}", db=url, heartbeat=0.1, drain_grace=0.3)
    async with Service(config) as service:
        service.replica.feed._poll = 0.02
        yield service


async def _next_title(prompts: AsyncIterator[ConsolePrompt]) -> str:
    async with asyncio.timeout(60):
        return (await anext(prompts)).title


@pytest.mark.parametrize("told", [True, False], ids=["by the command", "by its token"])
async def test_a_console_shows_what_a_restore_re_opened(
    told: bool, migrated_db_url: str, tmp_path: Path
) -> None:
    """The console stays and has a tombstone of the prompt. With `migrate --after-restore` any old token is
    refused; without, its token is refused because its commit is lost.
    """
    url, port = migrated_db_url, free_port()
    target = f"127.0.0.1:{port}"
    async with Client(target, user="ana", deadline=60) as client:
        async with running(url, port):
            run = await client.ask("Deploy?")
            assert run.prompt is not None
            console = client.console()
            closings: list[Closing] = []
            console.on_closed(closings.append)
            await console.__aenter__()
            prompts = console.prompts()
            assert await _next_title(prompts) == "Deploy?"
            await asyncio.to_thread(back_up, url, tmp_path / "backup")
            before = console._view.token
            await client.answer(run.prompt, "ACCEPT")
            await until(lambda: bool(closings))
            await until(lambda: console._view.token != before)
        await asyncio.to_thread(restore, url, tmp_path / "backup")
        if told:
            await asyncio.to_thread(begin_history_after_restore, url)
        async with running(url, port):
            assert await _next_title(prompts) == "Deploy?"
            assert [p.prompt_id async for p in client.prompts()] == [run.prompt.prompt_id]
            await client.answer(run.prompt, "REJECT")
            await _wait_for_end(run)
            await until(lambda: len(closings) == 2)
            await console.__aexit__()


async def _wait_for_end(run: Run) -> None:
    async with asyncio.timeout(60):
        await run.result()


async def test_a_prompt_lost_by_a_restore_is_removed_from_consoles(
    migrated_db_url: str, tmp_path: Path
) -> None:
    url, port = migrated_db_url, free_port()
    async with Client(f"127.0.0.1:{port}", user="ana", deadline=60) as client:
        async with running(url, port):
            console = client.console()
            await console.__aenter__()
            await asyncio.to_thread(back_up, url, tmp_path / "backup")
            run = await client.ask("Deploy?")
            assert run.prompt is not None
            assert await _next_title(console.prompts()) == "Deploy?"
        await asyncio.to_thread(restore, url, tmp_path / "backup")
        await asyncio.to_thread(begin_history_after_restore, url)
        async with running(url, port):
            await until(lambda: not console.is_open(run.prompt.prompt_id))  # type: ignore[union-attr]
            await console.__aexit__()


async def test_a_service_runs_on_a_dump_restored_into_another_cluster(
    postgres: PostgresServer, primary: PostgresServer, tmp_path: Path
) -> None:
    """Its transaction ids are far behind those in the log, and the feed would wait for them."""
    old, new = postgres.create_database(), primary.create_database()
    await asyncio.to_thread(upgrade, old)
    await asyncio.to_thread(postgres.execute, SPEND_IDS)
    try:
        async with (
            running(old, free_port()) as service,
            Client(f"127.0.0.1:{service.port}", user="ana") as client,
        ):
            await client.ask("Before?")
            await asyncio.to_thread(back_up, old, tmp_path / "backup")
        await asyncio.to_thread(restore, new, tmp_path / "backup")
        with pytest.raises(StorageUnavailable, match="askback migrate --after-restore"):
            await Database.open(new)
        await asyncio.to_thread(begin_history_after_restore, new)
        async with (
            running(new, free_port()) as service,
            Client(f"127.0.0.1:{service.port}", user="ana") as client,
            client.console() as console,
        ):
            prompts = console.prompts()
            assert await _next_title(prompts) == "Before?"
            token = console._view.token
            await client.ask("After?")
            assert await _next_title(prompts) == "After?"
            # Also by the log, and not only by the shortcut within this replica.
            await until(lambda: console._view.token != token)
    finally:
        postgres.drop_database(old)
