"""A service with the users of the authorisation tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.hostile.secret_store import token_file
from tests.support.service import ServiceWorld, serving


@pytest.fixture
async def service_with_tokens(migrated_db_url: str, tmp_path: Path) -> AsyncIterator[ServiceWorld]:
    """The service on each database in turn; each user's token is `<name>-token`."""
    async with serving(migrated_db_url, auth=str(token_file(tmp_path))) as world:
        yield world
