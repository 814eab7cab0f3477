"""Fixtures: `guarded` is a service with tokens for ana, bob and eve, and `web` a gateway in front of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from askback_server.engine import sign_outs
from askback_server.transport import open_calls, tokens
from tests.support.browsers import Browser
from tests.support.service import ServiceWorld, serving
from tests.support.token_files import TokenFile
from tests.support.web import WebWorld, gateway_for


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service checks credentials, sign-outs and open calls often."""
    monkeypatch.setattr(sign_outs, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(open_calls, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(tokens, "_RECHECK_SECONDS", 0.0)


def people_in(folder: Path) -> TokenFile:
    roles = ["client", "console"]
    return TokenFile(folder / "tokens.toml", ana={"groups": ["desk"]}, bob={}, eve={"roles": roles})


@pytest.fixture
def people(tmp_path: Path) -> TokenFile:
    return people_in(tmp_path)


@pytest.fixture
async def guarded(lite_url: str, people: TokenFile) -> AsyncIterator[ServiceWorld]:
    """The service with authentication."""
    async with serving(lite_url, auth=str(people.path)) as running:
        yield running


@pytest.fixture
async def web(guarded: ServiceWorld) -> AsyncIterator[WebWorld]:
    """A gateway in front of it."""
    async with gateway_for(guarded, names=False) as running:
        yield running


@pytest.fixture
async def ana(web: WebWorld) -> Browser:
    """The browser of ana, who has signed in."""
    return await browser_of_ana(web)


async def browser_of_ana(web: WebWorld) -> Browser:
    browser = Browser(web)
    answer = await browser.sign_in("ana-token")
    assert answer.status == 200, answer.body
    return browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_guarded(
    shared_lite_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServiceWorld]:
    """Like `guarded`, but one service for all tests of a module that use it: for those that leave nothing
    which another could see. They run in the module's loop."""
    people = people_in(tmp_path_factory.mktemp("people"))
    async with serving(shared_lite_url, auth=str(people.path)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_web(shared_guarded: ServiceWorld) -> AsyncIterator[WebWorld]:
    """A gateway in front of it."""
    async with gateway_for(shared_guarded, names=False) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def shared_ana(shared_web: WebWorld) -> Browser:
    """Like `ana`, a browser of her own for each test."""
    return await browser_of_ana(shared_web)


@pytest.fixture
async def named_web(lite_url: str) -> AsyncIterator[WebWorld]:
    """A gateway in front of a service without authentication."""
    async with serving(lite_url) as service, gateway_for(service) as running:
        yield running
