"""A service with the people of the authorisation matrix."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.hostile.scene import token_file
from tests.support.service import World, serving


@pytest.fixture
async def guarded(migrated_db_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """The service on each database in turn; each person's token is `<name>-token`."""
    async with serving(migrated_db_url, auth=str(token_file(tmp_path))) as world:
        yield world
