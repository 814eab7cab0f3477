"""Fixtures of the gateway: `lite` is the service on SQLite, `web` a gateway in front of it."""

from collections.abc import AsyncIterator

import pytest

from tests.support.service import ServiceWorld, serving
from tests.support.web import WebWorld, gateway_for


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
