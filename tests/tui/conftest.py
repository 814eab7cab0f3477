from collections.abc import AsyncIterator, Iterator

import pytest

from askback.terminal import words
from tests.support.fake_server import FakeServer
from tests.support.zones import zone
from tests.tui.world import NOW, World


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest.fixture
def world(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(words, "now", lambda: NOW)
    monkeypatch.setenv("NO_COLOR", "1")
    with zone("UTC"):
        yield World(server)
