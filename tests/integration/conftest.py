"""Fixtures with a running service.

`world` on both databases, `lite` on SQLite, a `pair` of replicas of one database, and `world_with_tokens`.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from askback_server.engine import presence
from tests.support import scripted_jobs
from tests.support.kept_connections import own_connections as own_connections
from tests.support.kept_connections import pg_url as pg_url
from tests.support.lasting_loops import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories
from tests.support.postgres import PostgresServer
from tests.support.service import ServiceWorld, serving
from tests.support.shell import Shell
from tests.support.token_files import TokenFile
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def no_one_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the mark for unattended prompts, except in the tests of presence.

    The server sets it LINGER (10 s) after its start or after a console has left. Each mark is a new version
    of the prompt, which is sent to every console, so a slow machine would see frames that a fast one does
    not.
    """
    monkeypatch.setattr(presence, "LINGER_SECONDS", 3600.0)


@pytest.fixture
async def world(migrated_db_url: str) -> AsyncIterator[ServiceWorld]:
    """The service on each database in turn."""
    async with serving(migrated_db_url) as running:
        yield running


@pytest.fixture
async def lite(lite_url: str) -> AsyncIterator[ServiceWorld]:
    """The service on SQLite, for cases where the database makes no difference."""
    async with serving(lite_url) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_lite(shared_lite_url: str) -> AsyncIterator[ServiceWorld]:
    """Like `lite`, but one service for all tests of a module that use it: for cases of one test which leave
    nothing that another could see. These tests run in the module's loop."""
    async with serving(shared_lite_url) as running:
        yield running


@pytest.fixture
async def pair(migrated_db_url: str) -> AsyncIterator[tuple[ServiceWorld, ServiceWorld]]:
    """Two replicas of one database with frequent heartbeats."""
    async with (
        serving(migrated_db_url, heartbeat=0.1, replica="a") as a,
        serving(migrated_db_url, heartbeat=0.1, replica="b") as b,
    ):
        await until(lambda: all(w.service.replica.feed.wakeups.live for w in (a, b)))
        yield a, b


@pytest.fixture
async def world_with_tokens(lite_url: str, tmp_path: Path) -> AsyncIterator[ServiceWorld]:
    """A service with authentication. Each person's token is `NAME-token`."""
    people = TokenFile(
        tmp_path / "tokens.toml",
        client={"roles": ["client"]},
        worker={"roles": ["worker"]},
        console={"groups": ["law"]},
        admin={"roles": ["admin"]},
        policy={"roles": ["policy"]},
        other={"roles": ["client", "worker", "console"], "namespaces": ["elsewhere"]},
        roving={"roles": ["client", "console"], "namespaces": ["default", "elsewhere"]},
        eve={},
        old={"roles": ["admin"], "namespaces": ["*"], "expires": "2020-01-01T00:00:00Z"},
    )
    async with serving(lite_url, auth=str(people.path)) as world:
        yield world


@pytest.fixture
def shell(lite: ServiceWorld, tmp_path: Path) -> Iterator[Shell]:
    """Runs `askback` as the user ana, in an empty folder."""
    with _shell_for(lite, tmp_path) as shell:
        yield shell


@pytest.fixture
def shared_shell(shared_lite: ServiceWorld, tmp_path: Path) -> Iterator[Shell]:
    """Like `shell`, for `shared_lite`. The folder is the test's own."""
    with _shell_for(shared_lite, tmp_path) as shell:
        yield shell


@contextmanager
def _shell_for(world: ServiceWorld, folder: Path) -> Iterator[Shell]:
    home = folder / "shell"
    home.mkdir()
    shell = Shell(home, f"127.0.0.1:{world.service.port}", ASKBACK_USER="ana")
    yield shell
    shell.end()


@pytest.fixture
def primary(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """A PostgreSQL server for one test, which may break it. The test is skipped if none can be started."""
    assert postgres
    server = PostgresServer(fsync=True)
    if server._dsn:
        pytest.skip("ASKBACK_TEST_DSN names a server that must not be broken")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def standby(primary: PostgresServer) -> Iterator[PostgresServer]:
    """It has everything that was confirmed."""
    other = primary.standby()
    other.start()
    primary.require_standby(True)
    yield other
    other.stop()


@pytest.fixture
def no_calls() -> None:
    """Forget the calls of the scripts of earlier tests."""
    scripted_jobs.calls.clear()
