"""Fixtures: an open database, and replicas on it."""

from collections.abc import AsyncIterator

import pytest

from askback_server.storage.database import Database
from tests.support.kept_connections import own_connections as own_connections
from tests.support.kept_connections import pg_url as pg_url
from tests.support.lasting_loops import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories
from tests.support.storage import Node, node


@pytest.fixture
async def database(migrated_db_url: str) -> AsyncIterator[Database]:
    """Askback's storage on each database in turn."""
    opened = await Database.open(migrated_db_url)
    yield opened
    await opened.close()


@pytest.fixture
async def pg(pg_url: str) -> AsyncIterator[Database]:
    """Askback's storage on PostgreSQL only."""
    opened = await Database.open(pg_url)
    yield opened
    await opened.close()


@pytest.fixture
async def here(migrated_db_url: str) -> AsyncIterator[Node]:
    """A replica on each database in turn."""
    async with node(migrated_db_url) as replica:
        yield replica


@pytest.fixture
async def there(migrated_db_url: str) -> AsyncIterator[Node]:
    """Another replica on the same database."""
    async with node(migrated_db_url) as replica:
        yield replica
