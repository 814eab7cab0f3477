"""Write the baseline of a release; it changes with releases only. See tests/baseline/__init__.py."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile

from sqlalchemy.ext.asyncio import create_async_engine

from askback_server.storage.migrate import upgrade
from tests.architecture.sources import ROOT
from tests.baseline import PROTOS, SCHEMA_REVISION, SDK, schema_file
from tests.baseline.public_sdk import describe
from tests.baseline.schema import describe_schema
from tests.support.postgres import PostgresServer


def main() -> None:
    """Write protos, SDK and schema."""
    shutil.rmtree(PROTOS, ignore_errors=True)
    shutil.copytree(ROOT / "protos", PROTOS)
    lines = (f"{json.dumps(path)}: {json.dumps(entry)}" for path, entry in sorted(describe().items()))
    SDK.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        _write_schema("sqlite", f"sqlite+aiosqlite:///{folder}/lite.db")
    server = PostgresServer(fsync=False)
    server.start()
    _write_schema("postgres", server.create_database())
    server.stop()


def _write_schema(database: str, url: str) -> None:
    upgrade(url, SCHEMA_REVISION)
    schema_file(database).write_text(asyncio.run(_read_schema(url)), encoding="utf-8")


async def _read_schema(url: str) -> str:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(describe_schema)
    finally:
        await engine.dispose()


if __name__ == "__main__":
    main()
