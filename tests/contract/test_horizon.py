"""The warning about a long transaction that holds the feed back."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import asyncpg
import pytest

from askback_server.feed import horizon
from askback_server.feed.horizon import HorizonWatch
from askback_server.storage.database import Database
from tests.contract.test_wakeups import long_transaction
from tests.support.rows import creation, new_job
from tests.support.waiting import until


@pytest.fixture
async def pg(pg_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(pg_url)
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(horizon, "WARN_SECONDS", 0.05)
    caplog.set_level(logging.INFO)


def warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [r for r in caplog.records if r.name == "askback.server.feed" and r.levelno == logging.WARNING]


async def test_a_long_transaction_is_logged_once_and_so_is_its_end(
    pg: Database, pg_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    watch = HorizonWatch(pg.feed)
    await watch.check()
    assert watch.lag == 0
    async with long_transaction(pg_url) as slow:
        await watch.check()
        assert not warnings(caplog), "no committed event waits for it"
        await pg.jobs.write([creation(new_job())])

        async def lagging() -> bool:
            await watch.check()
            return watch.lag > horizon.WARN_SECONDS

        await until(lagging, "the lag grows")
        for _ in range(3):
            await watch.check()
        [warning] = warnings(caplog)
        assert warning.pid == slow.get_server_pid()  # type: ignore[attr-defined]
        assert "slow" in warning.getMessage()
        assert "INSERT" not in warning.getMessage(), "statements of others may contain anything"
    await watch.check()
    assert watch.lag == 0
    assert caplog.records[-1].getMessage() == "the feed has caught up: no transaction holds it back"


async def test_the_warning_says_so_when_the_role_may_not_see_the_transaction(
    pg: Database, pg_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A role without rights to the sessions of others sees their rows with empty columns."""
    admin = await asyncpg.connect(pg_url.replace("+asyncpg", ""))
    try:
        await admin.execute("DROP ROLE IF EXISTS askback_limited; CREATE ROLE askback_limited LOGIN")
        await admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO askback_limited")
        limited = Database(pg_url.replace("postgres@", "askback_limited@"), None)  # type: ignore[arg-type]
        watch = HorizonWatch(limited.feed)
        async with long_transaction(pg_url):
            await pg.jobs.write([creation(new_job())])

            async def has_warned() -> bool:
                await watch.check()
                return bool(warnings(caplog))

            await until(has_warned, "a warning is logged")
            assert "(slow, postgres), how old is hidden" in warnings(caplog)[0].getMessage()
        await limited.close()
    finally:
        await admin.execute("DROP OWNED BY askback_limited; DROP ROLE askback_limited")
        await admin.close()


async def test_nothing_holds_the_feed_back_without_a_long_transaction(database: Database) -> None:
    await database.jobs.write([creation(new_job())])
    watch = HorizonWatch(database.feed)

    async def lag_is_zero() -> bool:
        await watch.check()
        return watch.lag == 0

    await until(lag_is_zero, "the lag is zero")
    assert await database.feed.holder() is None or database._dialect.name == "postgresql"
