"""Fixtures of the gateway: `lite` is the service on SQLite, `web` a gateway in front of it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.service import ServiceWorld, serving
from tests.support.web import WebWorld, gateway_for


@pytest.fixture
def lite_url(migrated_file: Path, tmp_path: Path) -> str:
    """A new SQLite file with Askback's tables."""
    path = tmp_path / "lite.db"
    with closing(sqlite3.connect(migrated_file)) as source, closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
async def lite(lite_url: str) -> AsyncIterator[ServiceWorld]:
    """The service on SQLite."""
    async with serving(lite_url) as running:
        yield running


@pytest.fixture
async def web(lite: ServiceWorld) -> AsyncIterator[WebWorld]:
    """A gateway in front of the service."""
    async with gateway_for(lite) as running:
        yield running
