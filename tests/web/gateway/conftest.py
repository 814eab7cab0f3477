"""Fixtures of the gateway: `lite` is the service on SQLite, `web` a gateway in front of it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.service import ServiceWorld, serving
from tests.support.web import WebWorld, gateway_for


@pytest.fixture
async def lite(lite_url: str) -> AsyncIterator[ServiceWorld]:
    """The service on SQLite."""
    async with serving(lite_url) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_lite(shared_lite_url: str) -> AsyncIterator[ServiceWorld]:
    """Like `lite`, but one service for all tests of a module that use it: for cases of one test which leave
    nothing that another could see. These tests run in the module's loop."""
    async with serving(shared_lite_url) as running:
        yield running


@pytest.fixture
async def web(lite: ServiceWorld) -> AsyncIterator[WebWorld]:
    """A gateway in front of the service."""
    async with gateway_for(lite) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_web(shared_lite: ServiceWorld) -> AsyncIterator[WebWorld]:
    """A gateway in front of `shared_lite`."""
    async with gateway_for(shared_lite) as running:
        yield running
