"""The connections to PostgreSQL outside the pools: those that send and receive wake-ups."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage import primary
from askback_server.storage.postgres_pools import Pools

pytestmark = pytest.mark.usefixtures("own_connections")

NAME = "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"


@pytest.fixture
def pools(pg_url: str) -> Pools:
    return Pools(sa.make_url(pg_url))


async def test_a_connection_has_its_name_and_is_closed_at_the_end(pools: Pools) -> None:
    async with pools.own("askback listener") as driver:
        assert await driver.fetchval(NAME) == "askback listener"
    assert driver.is_closed()


async def test_an_option_of_sqlalchemy_in_the_url_is_no_option_of_the_driver(pg_url: str) -> None:
    pools = Pools(sa.make_url(f"{pg_url}?prepared_statement_cache_size=0"))
    async with pools.own("askback listener") as driver:
        assert await driver.fetchval("SELECT 1") == 1


async def test_a_connection_is_closed_when_another_server_is_the_primary(pools: Pools) -> None:
    async with pools.own("askback listener") as listener:
        known = pools.primary._instance
        assert known is not None
        # As if the server had been another one until now.
        pools.primary._instance = replace(known, started=known.started - timedelta(seconds=1))
        async with pools.own("askback wake-ups") as sender:
            assert listener.is_closed()
            assert not sender.is_closed()


async def test_a_standby_is_refused(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = "SELECT true AS standby, pg_postmaster_start_time() AS started, NULL AS system, NULL AS timeline"
    monkeypatch.setattr(primary, "_WHO", answer)
    with pytest.raises(StorageUnavailable, match="is a standby"):
        async with pools.own("askback listener"):
            pass
