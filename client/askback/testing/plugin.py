"""The pytest plugin: found by its entry point, and idle until a test requests a fixture."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from askback.testing.clock import Clock
    from askback.testing.human import Human
    from askback.testing.server import Server

# grpc reads this at import. Its C library writes lines such as "Got goaway" to stderr when a server stops,
# and pytest does not capture them as logging. Set the variable yourself to see them.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


@pytest.fixture
def askback_server(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    """A server in test mode for this test only; job functions, `Client()` and `Worker()` use it."""
    from askback._wire.channel import ENVIRONMENT
    from askback._worker import worker
    from askback.testing.server import Server

    server = Server(tmp_path_factory.mktemp("askback"))
    server.start()
    try:
        for name in (*ENVIRONMENT, "ASKBACK_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("ASKBACK_SERVER", server.target)
        monkeypatch.setattr(worker, "client_source", server)
        yield server
    finally:
        server.stop()


@pytest.fixture
def human(askback_server: Server) -> Human:
    """The scripted human of this test; see askback.testing.Human."""
    from askback.testing.human import Human

    human = Human()
    askback_server.connect_human(human)
    return human


@pytest.fixture
def clock(askback_server: Server) -> Clock:
    """The clock of this test's server; see askback.testing.Clock."""
    from askback.testing.clock import Clock

    return Clock(askback_server)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail the test for a prompt that no rule expected, even if the test has caught the error; and for a rule
    that no prompt matched, if the test passes otherwise."""
    __tracebackhide__ = True
    human: Human | None = getattr(item, "funcargs", {}).get("human")
    try:
        result = yield
    except BaseException as error:
        if pending_failure := getattr(human, "pending_failure", None):
            raise pending_failure.with_traceback(None) from error
        raise
    if pending_failure := getattr(human, "pending_failure", None):
        raise pending_failure.with_traceback(None)
    if unused := getattr(human, "unused_failure", None):
        raise unused
    return result
