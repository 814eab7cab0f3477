"""A running service for a test: `world` on both databases, `lite` on SQLite only; `shell` is at `lite`."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.service import World, serving
from tests.support.shell import Shell


@pytest.fixture
async def world(migrated_db_url: str) -> AsyncIterator[World]:
    """The service on each database in turn."""
    async with serving(migrated_db_url) as running:
        yield running


@pytest.fixture
def lite_url(migrated_file: Path, tmp_path: Path) -> str:
    """A fresh SQLite file with Askback's tables."""
    path = tmp_path / "lite.db"
    with closing(sqlite3.connect(migrated_file)) as source, closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
async def lite(lite_url: str) -> AsyncIterator[World]:
    """The service on SQLite, for cases where the database makes no difference."""
    async with serving(lite_url) as running:
        yield running


@pytest.fixture
def shell(lite: World, tmp_path: Path) -> Iterator[Shell]:
    """`askback` of the user ana, in an empty folder."""
    folder = tmp_path / "shell"
    folder.mkdir()
    shell = Shell(folder, f"127.0.0.1:{lite.service.port}", ASKBACK_USER="ana")
    yield shell
    shell.end()
