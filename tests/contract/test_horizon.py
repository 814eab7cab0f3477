"""The alarm when a long transaction keeps the log from being read in order."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import asyncpg
import pytest

from askback_server.feed import horizon
from askback_server.feed.horizon import HorizonWatch
from askback_server.storage.database import Database
from tests.contract.test_wakeups import long_transaction
from tests.support.storage import creation, new_job, until


@pytest.fixture
async def pg(pg_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(pg_url)
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(horizon, "ALARM", 0.05)
    caplog.set_level(logging.INFO)


def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [r for r in caplog.records if r.name == horizon.__name__ and r.levelno == logging.WARNING]


async def test_a_long_transaction_is_named_once_and_its_end_is_said(
    pg: Database, pg_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    watch = HorizonWatch(pg.feed)
    await watch.check()
    assert watch.lag == 0
    async with long_transaction(pg_url) as slow:
        await watch.check()
        assert not warnings(caplog), "nothing is committed that would wait for it"
        await pg.jobs.write([creation(new_job())])

        async def lagging() -> bool:
            await watch.check()
            return watch.lag > horizon.ALARM

        await until(lagging, "the lag grows")
        for _ in range(3):
            await watch.check()
        [said] = warnings(caplog)
        assert said.pid == slow.get_server_pid()  # type: ignore[attr-defined]
        assert "slow" in said.getMessage()
        assert "INSERT" not in said.getMessage(), "what others run may hold anything"
    await watch.check()
    assert watch.lag == 0
    assert caplog.records[-1].getMessage() == "the feed has caught up: no transaction holds it back"


async def test_who_may_not_see_it_says_so(
    pg: Database, pg_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A role without rights to others' sessions: their rows are there, and empty."""
    admin = await asyncpg.connect(pg_url.replace("+asyncpg", ""))
    try:
        await admin.execute("DROP ROLE IF EXISTS askback_humble; CREATE ROLE askback_humble LOGIN")
        await admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO askback_humble")
        humble = Database(pg_url.replace("postgres@", "askback_humble@"), None)  # type: ignore[arg-type]
        watch = HorizonWatch(humble.feed)
        async with long_transaction(pg_url):
            await pg.jobs.write([creation(new_job())])

            async def said() -> bool:
                await watch.check()
                return bool(warnings(caplog))

            await until(said, "it is said")
            assert "(slow, postgres), how old is hidden" in warnings(caplog)[0].getMessage()
        await humble.close()
    finally:
        await admin.execute("DROP OWNED BY askback_humble; DROP ROLE askback_humble")
        await admin.close()


async def test_on_sqlite_nothing_is_ever_held_back(database: Database) -> None:
    await database.jobs.write([creation(new_job())])
    watch = HorizonWatch(database.feed)

    async def settled() -> bool:
        await watch.check()
        return watch.lag == 0

    await until(settled, "all is settled")
    assert await database.feed.holder() is None or database._dialect.name == "postgresql"
