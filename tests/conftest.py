"""Databases for tests: a test that uses `db_url` or `migrated_db_url` runs on SQLite and on PostgreSQL."""

import gc
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from askback_server.descriptors import raise_limit
from tests.support.memory_folder import use_folder_in_memory
from tests.support.postgres import PostgresServer
from tests.support.postgres_binaries import PostgresUnavailable
from tests.support.postgres_pool import DatabasePool
from tests.support.postgres_template import MigratedTemplate
from tests.support.requirements import absent

# subprocess cannot use vfork for a child that runs as another user. gRPC's fork handlers crash or hang
# such a child while other threads are in gRPC. The variable is read when grpc is imported.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

# The server does the same. Tests of tests/faults open 400 connections in this process, and the soft limit is
# often 1,024. Without a free descriptor asyncio's servers accept nothing, and log that 100 times for each
# waiting connection.
raise_limit()

# A background job of a shell script (`make test &`) ignores SIGINT and SIGQUIT; a program under nohup ignores
# SIGHUP. Child processes inherit ignored signals, so a test's Ctrl-C would not reach them. Signals that the
# parent handles have their default action in its children.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGHUP, lambda *_: None),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# Hundreds of processes import the same modules here. Container images often turn bytecode caches off; then
# each process would compile what it imports, which takes a third of its processor time or more.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

use_folder_in_memory()

pytest_plugins = ["tests.support.cpu_time"]


def pytest_collectstart() -> None:
    """Disable the garbage collector until the tests run: collection makes a million objects, and all stay."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first: they mostly wait, so the others use the processor meanwhile."""
    items.sort(key=lambda item: "/faults/" not in item.nodeid)


def pytest_collection_finish() -> None:
    """Share compiled statements and probes for poolers between tests, and exclude modules and tests from
    garbage collection."""
    if "sqlalchemy" in sys.modules:
        from tests.support.compiled import share_compiled_statements
        from tests.support.pooler_probe import probe_each_address_once

        share_compiled_statements()
        probe_each_address_once()
    gc.freeze()  # with the garbage of the collection of tests: to find it takes half a second of CPU
    gc.set_threshold(10_000, 20, 50)  # halves the time that collections take
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """End the fork server, so that the processor time of its children is counted."""
    if "tests.support.forked" in sys.modules:
        sys.modules["tests.support.forked"].end_fork_server()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The session's server, started when the first test needs it.

    Without one the test is skipped, or fails if `ASKBACK_REQUIRE` contains `postgres`.
    """
    server = PostgresServer(fsync=False)
    try:
        server.start()
    except PostgresUnavailable as reason:
        absent("postgres", str(reason))
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """The database this run of the test is on."""
    kind: str = request.param
    return kind


@pytest.fixture
def db_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh, empty database, removed after the test."""
    if database_kind == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'askback.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def migrated_db_url(database_kind: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Like `db_url`, with Askback's tables."""
    if database_kind == "sqlite":
        yield request.getfixturevalue("lite_url")
        return
    yield request.getfixturevalue("pg_url")


@pytest.fixture
def fresh_db_url(database_kind: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Like `migrated_db_url`, but used by one test only: for those that need the planner's statistics. A
    database that is reused has deleted rows in its indexes, and the statistics of other tests."""
    if database_kind == "sqlite":
        yield request.getfixturevalue("lite_url")
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    template: MigratedTemplate = request.getfixturevalue("migrated_template")
    url = postgres.create_database(template=template.name)
    yield url
    postgres.drop_database(url)


@pytest.fixture
def lite_url(migrated_file: Path, tmp_path: Path) -> str:
    """A new SQLite file with Askback's tables, for tests that run on SQLite only."""
    return _copy(migrated_file, tmp_path)


@pytest.fixture(scope="module")
def shared_lite_url(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Like `lite_url`, for a service that several tests of a module share."""
    return _copy(migrated_file, tmp_path_factory.mktemp("shared"))


@pytest.fixture
def pg_url(pg_databases: DatabasePool) -> Iterator[str]:
    """A PostgreSQL database with Askback's tables, for tests that run on PostgreSQL only."""
    url = pg_databases.acquire()
    yield url
    pg_databases.release(url)


@pytest.fixture(scope="session")
def pg_databases(postgres: PostgresServer, migrated_template: MigratedTemplate) -> Iterator[DatabasePool]:
    """Databases with Askback's tables, reused by the tests of the session."""
    pool = DatabasePool(postgres, migrated_template)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def kept_pg_databases(
    postgres: PostgresServer, migrated_template: MigratedTemplate
) -> Iterator[DatabasePool]:
    """Like `pg_databases`, for tests in lasting loops: the connections are kept, too."""
    # Imported late, as in `migrated_file`.
    from tests.support.kept_connections import KeptDatabases
    from tests.support.lasting_loops import end_loops

    pool = KeptDatabases(postgres, migrated_template)
    with pool.installed():
        yield pool
    pool.close()
    end_loops()


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer) -> Iterator[MigratedTemplate]:
    """The migrated PostgreSQL database that others are copied from."""
    template = MigratedTemplate(postgres)
    yield template
    template.drop()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with Askback's tables, which tests copy."""
    # Imported late: the tests of pure parts need neither SQLAlchemy nor Alembic.
    from askback_server.storage.migrate import upgrade

    path = tmp_path_factory.mktemp("template") / "askback.db"
    upgrade(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture
def forked_commands() -> Iterator[Path]:
    """A folder for `PATH`, whose `askback`, `python` and `pytest` start without importing."""
    # Imported late, as in `migrated_file`.
    from tests.support.forked_commands import ForkedCommands

    commands = ForkedCommands()
    yield commands.folder
    commands.end()


def _copy(migrated: Path, folder: Path) -> str:
    """Copy a SQLite file into the folder. Returns its URL."""
    path = folder / "askback.db"
    path.touch(0o600)  # the server changes others, with a warning
    shutil.copyfile(migrated, path)
    return f"sqlite+aiosqlite:///{path}"
