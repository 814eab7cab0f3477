"""The batch write on PostgreSQL enters every table by an index, whatever its size was when it was planned."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg
import pytest

from askback_server.storage.batch import DELETES, PARTS
from askback_server.storage.postgres import _compiled
from askback_server.storage.postgres_pools import WRITER_SETTINGS

SHAPES = [
    ("changed_jobs", "new_prompts", "events"),
    ("changed_jobs", "changed_prompts", "answers", "events"),
    ("changed_jobs", "amended_prompts", "checkpoints", "understandings", "events"),
    ("changed_jobs", "events", DELETES),
    ("new_jobs", "new_prompts", "events"),
    (*PARTS, DELETES),
]


@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
@pytest.mark.parametrize("shape", SHAPES, ids="-".join)
async def test_no_table_is_scanned(shape: tuple[str, ...], migrated_db_url: str) -> None:
    parts = urlsplit(migrated_db_url)
    connection = await asyncpg.connect(
        host=parts.hostname, port=parts.port, user=parts.username, database=parts.path[1:],
        server_settings={**WRITER_SETTINGS, "application_name": "plans"},
    )  # fmt: skip
    try:
        sql, named = _compiled(shape)
        # The tables are empty here: the size at which a plan that depends on it goes wrong.
        lines = await connection.fetch(f"EXPLAIN {sql}", *["[]" for _ in named])
    finally:
        await connection.close()
    plan = "\n".join(line[0] for line in lines)
    assert "Seq Scan" not in plan, plan
    assert "Hash Join" not in plan, plan
    assert "Materialize" not in plan, plan
    for line in plan.splitlines():
        if "Index Scan using" in line:
            condition = plan[plan.index(line) + len(line) :].split("\n", 2)[1]
            assert "Index Cond" in condition, f"a whole index is read: {line}\n{plan}"
