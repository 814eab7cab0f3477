"""Back up and restore a test's database in the way that the guide to restoring describes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import sqlalchemy as sa

from tests.support.postgres import in_thread
from tests.support.postgres_binaries import find_binaries
from tests.support.requirements import absent


def back_up(url: str, target: Path) -> None:
    """Write the database of an SQLAlchemy URL to a file; it may be in use."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(_file(url))) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
    else:
        _run("pg_dump", "--format=custom", f"--file={target}", f"--dbname={_plain(url)}")


def restore(url: str, source: Path) -> None:
    """Restore the database from a backup file. No service may be using it."""
    if url.startswith("sqlite"):
        path = _file(url)
        for leftover in (f"{path}-wal", f"{path}-shm"):
            Path(leftover).unlink(missing_ok=True)
        path.write_bytes(source.read_bytes())
    else:
        in_thread(_empty(_plain(url)))
        _run("pg_restore", "--single-transaction", f"--dbname={_plain(url)}", str(source))


async def _empty(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        # The dump recreates the schema, and `pg_restore --clean` could not drop the event partitions.
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    finally:
        await connection.close()


def _file(url: str) -> Path:
    return Path(sa.make_url(url).database or "")


def _plain(url: str) -> str:
    return urlsplit(url)._replace(scheme="postgresql").geturl()


def _run(program: str, *arguments: str) -> None:
    path = find_binaries(os.environ.get("ASKBACK_TEST_PG") or "auto").bin / program
    if not path.exists():
        absent("pg_dump", f"these binaries of PostgreSQL have no {program}")
    done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")
