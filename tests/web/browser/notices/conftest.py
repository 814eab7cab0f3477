"""Fixture of the tests of notices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio


@pytest_asyncio.fixture(loop_scope="session")
async def page(inbox: Any) -> AsyncIterator[Any]:
    """A live page in which notifications are on."""
    from tests.web.browser.notices.watching import open_page

    yield await open_page(inbox)
