"""Migrations: create the schema once, equal to the metadata, and serve older and newer versions."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

from askback_server.domain.errors import StorageUnavailable
from askback_server.storage.database import Database
from askback_server.storage.migrate import describe, upgrade
from askback_server.storage.schema import SERVES, check_schema, scripts, served_by
from askback_server.storage.settings import get_setting
from askback_server.storage.tables import metadata, settings
from tests.baseline import SCHEMA_REVISION, schema_file
from tests.baseline.schema import describe_schema
from tests.support.migrations import NEXT, use_next_migration
from tests.support.postgres import PostgresServer
from tests.support.rows import creation, new_job
from tests.support.storage import execute, fetch

ROOT = Path(__file__).parents[2]
HEAD = str(ScriptDirectory.from_config(scripts()).get_current_head())


@pytest.fixture
def empty_pg(postgres: PostgresServer) -> Iterator[str]:
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


async def migrate(url: str) -> None:
    await asyncio.to_thread(upgrade, url)


async def on(url: str, work: Any) -> Any:
    """Run `work` on a plain SQLAlchemy connection: ours do not parse JSON, which its inspector needs."""
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


async def test_migrating_twice_keeps_the_data_and_keys(db_url: str) -> None:
    await migrate(db_url)
    database = await Database.open(db_url)
    job = new_job()
    await database.jobs.write([creation(job)])
    epoch, secret = await database.feed.epoch(), await database.secret()
    await database.close()

    await migrate(db_url)
    database = await Database.open(db_url)
    assert await database.jobs.get_jobs([job.job_id]) == [job]
    assert (await database.feed.epoch(), await database.secret()) == (epoch, secret)
    await database.close()


async def test_each_database_gets_its_own_epoch_and_secret(db_url: str, tmp_path: Path) -> None:
    other = f"sqlite+aiosqlite:///{tmp_path / 'other.db'}"
    await migrate(db_url)
    await migrate(other)
    one, two = await Database.open(db_url), await Database.open(other)
    assert await one.feed.epoch() != await two.feed.epoch()
    assert await one.secret() != await two.secret()
    await one.close()
    await two.close()


BY_EXPRESSION = {"ix_jobs_ready", "ix_hitl_interactions_urgency"}
"""Indexes with a descending column, which are expressions for Alembic on SQLite."""
REWRITTEN = {"ix_hitl_interactions_urgency"}
"""Indexes whose expressions PostgreSQL shows in other words than ours."""


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")
async def test_the_migrated_schema_equals_the_metadata(db_url: str, database_kind: str) -> None:
    await migrate(db_url)

    def is_compared(_: object, name: str | None, kind: str, reflected: bool, __: object) -> bool:
        if kind == "index" and name in (BY_EXPRESSION if database_kind == "sqlite" else REWRITTEN):
            return False  # Alembic cannot compare them; the next two tests do
        # The daily partitions of job_events are not part of the metadata.
        return not (kind == "table" and reflected and (name or "").startswith("job_events_"))

    def type_differs(_: Any, __: Any, column: sa.Column[Any], found: Any, wanted: Any) -> bool | None:
        # SQLAlchemy cannot reflect PostgreSQL's type xid8.
        return False if column.name == "xid" and isinstance(found, sa.types.NullType) else None

    def compare(connection: sa.Connection) -> list[Any]:
        options = {"include_object": is_compared, "compare_type": type_differs}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    assert await on(db_url, compare) == []


async def test_the_migrated_indexes_of_sqlite_equal_the_metadata(tmp_path: Path) -> None:
    by_migration, by_tables = (f"sqlite+aiosqlite:///{tmp_path / name}.db" for name in ("one", "two"))
    await migrate(by_migration)

    def indexes(connection: sa.Connection) -> dict[str, str]:
        found = connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql > ''"
        )
        return {row.name: row.sql for row in found}

    def create(connection: sa.Connection) -> dict[str, str]:
        metadata.create_all(connection)
        return indexes(connection)

    found = await on(by_migration, indexes)
    assert found.keys() >= BY_EXPRESSION
    assert found == await on(by_tables, create)


async def test_the_migrated_indexes_of_postgres_equal_the_metadata(empty_pg: str) -> None:
    await migrate(empty_pg)
    indexes = {i.name: i for table in metadata.tables.values() for i in table.indexes}

    def definitions(connection: sa.Connection) -> dict[str, str]:
        found = connection.exec_driver_sql("SELECT indexname, indexdef FROM pg_indexes")
        return {name: text for name, text in found if name in REWRITTEN}

    def recreate(connection: sa.Connection) -> tuple[dict[str, str], dict[str, str]]:
        before = definitions(connection)
        for name in before:
            indexes[name].drop(connection)
            indexes[name].create(connection)
        return before, definitions(connection)

    migrated, made = await on(empty_pg, recreate)
    assert migrated.keys() == REWRITTEN
    assert migrated == made


async def test_the_migrated_primary_keys_equal_the_metadata(db_url: str, database_kind: str) -> None:
    await migrate(db_url)

    def keys(connection: sa.Connection) -> dict[str, list[str]]:
        inspector = sa.inspect(connection)
        return {t: inspector.get_pk_constraint(t)["constrained_columns"] for t in metadata.tables}

    found = await on(db_url, keys)
    expected = {name: [c.name for c in table.primary_key] for name, table in metadata.tables.items()}
    if database_kind == "postgres":
        # The key of a partitioned table must include the partition column.
        expected["job_events"] = ["id", "at"]
    assert found == expected


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")
async def test_the_schema_of_the_first_release_does_not_change(db_url: str, database_kind: str) -> None:
    """Released migrations are not edited: a database of that release has this schema."""
    await asyncio.to_thread(upgrade, db_url, SCHEMA_REVISION)
    baseline = schema_file(database_kind).read_text(encoding="utf-8")
    assert await on(db_url, describe_schema) == baseline


async def test_opening_a_database_without_a_schema_says_to_migrate(db_url: str) -> None:
    with pytest.raises(StorageUnavailable, match=r"no schema yet; run `askback migrate`"):
        await Database.open(db_url)


async def test_opening_an_older_schema_says_to_migrate(
    migrated_db_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_next_migration(monkeypatch, tmp_path)
    with pytest.raises(
        StorageUnavailable, match=f"schema is {HEAD}, this version needs {NEXT}; run `askback migrate`"
    ):
        await Database.open(migrated_db_url)
    await migrate(migrated_db_url)
    await (await Database.open(migrated_db_url)).close()


@pytest.mark.parametrize("revision", ["0001", "0020_requested_by"])
async def test_a_schema_from_before_the_first_release_must_be_recreated(
    migrated_db_url: str, revision: str
) -> None:
    database = await Database.open(migrated_db_url)
    await execute(database, f"UPDATE alembic_version SET version_num = '{revision}'")
    await database.close()
    for start in (Database.open(migrated_db_url), migrate(migrated_db_url)):
        with pytest.raises(StorageUnavailable, match=f"is {revision}, from before version 0.1.0.*recreate"):
            await start


async def test_an_older_replica_runs_on_the_schema_of_a_newer_one(
    migrated_db_url: str, tmp_path: Path
) -> None:
    """In a rolling upgrade the newer version migrates while the older one serves and restarts."""
    older = await Database.open(migrated_db_url)
    with pytest.MonkeyPatch.context() as newer:
        use_next_migration(newer, tmp_path)
        await migrate(migrated_db_url)
        upgraded = await Database.open(migrated_db_url)
        await upgraded.close()
    job = new_job()
    assert not (await older.jobs.write([creation(job)])).lost
    await older.close()
    restarted = await Database.open(migrated_db_url)
    assert await restarted.jobs.get_jobs([job.job_id]) == [job]
    await restarted.close()


async def test_a_newer_schema_that_still_serves_this_version_is_accepted(migrated_db_url: str) -> None:
    """During a rolling upgrade an older replica may restart after the migration."""
    database = await Database.open(migrated_db_url)
    job = new_job()
    await database.jobs.write([creation(job)])
    assert await database._dialect.run(lambda c: get_setting(c, SERVES)) == " ".join(served_by(HEAD))
    await execute(database, "UPDATE alembic_version SET version_num = '9999'")
    newer = sa.update(settings).where(settings.c.name == SERVES)
    await execute(database, newer.values(value=f"9999 9998 {HEAD}"))
    assert await database._dialect.run(check_schema) == ""
    await database.close()
    await migrate(migrated_db_url)  # an older `askback migrate`, or a start on SQLite, does nothing
    again = await Database.open(migrated_db_url)
    assert await again.jobs.get_jobs([job.job_id]) == [job]
    assert [r["version_num"] for r in await fetch(again, sa.text("SELECT * FROM alembic_version"))] == [
        "9999"
    ]
    await again.close()
    assert "schema 9999" in await asyncio.to_thread(describe, migrated_db_url)


@pytest.mark.parametrize("serves", ["9999 9998", None])
async def test_a_newer_schema_that_no_longer_serves_this_version_is_refused(
    migrated_db_url: str, serves: str | None
) -> None:
    database = await Database.open(migrated_db_url)
    await execute(database, "UPDATE alembic_version SET version_num = '9999'")
    mark = settings.c.name == SERVES
    change = (
        sa.delete(settings).where(mark)
        if serves is None
        else sa.update(settings).where(mark).values(value=serves)
    )
    await execute(database, change)
    await database.close()
    for start in (Database.open(migrated_db_url), migrate(migrated_db_url)):
        with pytest.raises(
            StorageUnavailable, match=rf"is 9999, which serves .* \({HEAD}\) no more; run a newer"
        ):
            await start


def test_migrations_that_only_add_serve_all_earlier_versions() -> None:
    history = ScriptDirectory.from_config(scripts())
    revisions = [s.revision for s in history.walk_revisions()]
    assert served_by(HEAD) == revisions
    assert served_by("0001_initial") == ["0001_initial"]


def test_an_index_of_an_existing_table_is_made_without_blocking_writes() -> None:
    """A plain CREATE INDEX blocks all writes of the table until it is done."""
    for script in ScriptDirectory.from_config(scripts()).walk_revisions():
        text = Path(script.path).read_text(encoding="utf-8")
        own = set(re.findall(r'create_table\(\s*"(\w+)"', text))
        indexed = set(re.findall(r'op\.create_index\(\s*[^,]+,\s*"(\w+)"', text))
        assert indexed <= own, f"{script.revision}: use create_large_index"


def test_a_contracting_migration_does_not_serve_earlier_versions(tmp_path: Path) -> None:
    (tmp_path / "versions").mkdir()
    (tmp_path / "script.py.mako").touch()
    for revision, below, more in (
        ("a", None, ""),
        ("b", "a", ""),
        ("c", "b", "contracts = True"),
        ("d", "c", ""),
    ):
        text = f"revision = {revision!r}\ndown_revision = {below!r}\n{more}\n"
        (tmp_path / "versions" / f"{revision}.py").write_text(text)
    config = Config()
    config.set_main_option("script_location", str(tmp_path))
    assert served_by("d", config) == ["d", "c", "b"]
    assert served_by("b", config) == ["b", "a"]


@pytest.mark.usefixtures("own_connections")
async def test_opening_a_read_only_database_is_refused(pg_url: str) -> None:
    """For example a standby. The error must come at the start, not with the first write."""
    name = urlsplit(pg_url).path[1:]
    database = await Database.open(pg_url)
    await execute(database, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    await database.close()
    with pytest.raises(StorageUnavailable, match="read-only transaction"):
        await Database.open(pg_url)


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")
async def test_migrations_only_add_tables_and_optional_columns(db_url: str) -> None:
    """So that an older program can still write: new columns of existing tables are optional."""

    def columns(connection: sa.Connection) -> dict[str, dict[str, Any]]:
        inspector = sa.inspect(connection)
        return {
            t: {c["name"]: c for c in inspector.get_columns(t)}
            for t in metadata.tables
            if inspector.has_table(t)
        }

    await asyncio.to_thread(upgrade, db_url, "0001_initial")
    before = await on(db_url, columns)
    await migrate(db_url)
    after = await on(db_url, columns)
    assert "jobs" in before
    for table, known in before.items():
        assert known.keys() <= after[table].keys()
        for name in after[table].keys() - known.keys():
            column = after[table][name]
            assert column["nullable"] or column["default"] is not None, f"{table}.{name}"


async def test_concurrent_migrations_run_once(empty_pg: str) -> None:
    script = "import sys; from askback_server.storage.migrate import upgrade; upgrade(sys.argv[1])"
    command = (sys.executable, "-c", script, empty_pg)
    both = [await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=PIPE) for _ in range(2)]
    for process in both:
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
    database = await Database.open(empty_pg)
    versions = await fetch(database, sa.text("SELECT version_num FROM alembic_version"))
    names = await fetch(database, sa.text("SELECT name FROM askback_settings ORDER BY name"))
    await database.close()
    assert [row["version_num"] for row in versions] == [HEAD]
    assert [row["name"] for row in names] == [
        "checkpointed",
        "counted",
        "feed_epoch",
        "feed_tail",
        SERVES,
        "token_key",
    ]
