"""Fixtures of the browser tests: `inbox` opens the page for people, in one Chromium for all tests."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.requirements import absent
from tests.support.token_files import TokenFile

try:
    import playwright.async_api as _playwright
except ModuleNotFoundError:
    _playwright = None  # type: ignore[assignment]

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the asynchronous tests in the loop of the session, in which Chromium runs; all of them are long."""
    # By text: the parents of a path take 35 µs to make, and there are thousands of items.
    here = f"{_HERE}{os.sep}"
    for item in items:
        if not str(item.path).startswith(here):
            continue
        item.add_marker(pytest.mark.long)
        if pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def chromium() -> AsyncIterator[object]:
    """The browser."""
    if _playwright is None:
        absent("chromium", "the package playwright is not installed")
    from tests.support.browser import running_chromium

    async with running_chromium() as browser:
        yield browser


@pytest.fixture(autouse=True)
def page_under_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateways of these tests serve the page of `PAGE_FOLDER`, where that is set."""
    if _playwright is None:
        return
    from askback.web.assets import Assets
    from tests.support.browser import page_folder

    if (folder := page_folder()) is not None:
        monkeypatch.setattr("askback.web.gateway.Assets", partial(Assets, folder))


@pytest.fixture
def open_inbox(chromium: object, lite_url: str) -> Callable[..., AbstractAsyncContextManager[object]]:
    """Opens the inbox: the service on SQLite, a gateway in front of it, and people with browsers. With a
    `TokenFile` they sign in with a token instead of a name. Takes settings of the service."""
    from tests.support.browser import Inbox
    from tests.support.service import serving
    from tests.support.web import gateway_for

    @asynccontextmanager
    async def opening(people: TokenFile | None = None, **settings: str) -> AsyncIterator[object]:
        auth = {} if people is None else {"auth": str(people.path)}
        async with (
            serving(lite_url, **auth, **settings) as world,
            gateway_for(world, names=people is None) as web,
        ):
            inbox = Inbox(chromium, world, web)  # type: ignore[arg-type]
            try:
                yield inbox
            finally:
                await inbox.close()

    return opening


@pytest_asyncio.fixture(loop_scope="session")
async def inbox(open_inbox: Callable[..., AbstractAsyncContextManager[object]]) -> AsyncIterator[object]:
    """An inbox where people sign in with a name."""
    async with open_inbox() as opened:
        yield opened
