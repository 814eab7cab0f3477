"""Query plans of the statements that a repository runs."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Sequence
from typing import Any

import sqlalchemy as sa

from askback_server.storage.database import Database
from askback_server.storage.postgres_lookups import PostgresLookups

_FOR_SMALL_TABLES = ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "sort")
"""PostgreSQL's plans that need no index. On the empty tables of a test the planner would choose them."""


async def statements_of(call: Awaitable[Any]) -> list[Any]:
    """The statements on tables that a call runs. No other task may use a database meanwhile."""
    seen: list[Any] = []

    def note(_: Any, statement: Any, *__: Any) -> None:
        if not isinstance(statement, sa.Select) or statement.get_final_froms():
            seen.append(statement)

    look_up = PostgresLookups.look_up

    async def note_and_look_up(self: PostgresLookups, statement: Any, arrays: Any) -> Any:
        seen.append(statement)
        return await look_up(self, statement, arrays)

    sa.event.listen(sa.Engine, "before_execute", note)
    PostgresLookups.look_up = note_and_look_up  # type: ignore[method-assign]
    try:
        await call
    finally:
        sa.event.remove(sa.Engine, "before_execute", note)
        PostgresLookups.look_up = look_up  # type: ignore[method-assign]
    assert seen
    return seen


async def plan_of(database: Database, statement: Any, **arrays: Sequence[Any]) -> str:
    """The plan of a statement, one step per line; `arrays` are those that it takes by name."""
    own = database._dialect.reads
    if arrays:
        given = {n: json.dumps(v) if own.dialect.name == "sqlite" else list(v) for n, v in arrays.items()}
        statement = statement.params(given)
    async with own.connect() as connection:
        if own.dialect.name == "sqlite":
            sql = statement.compile(dialect=own.dialect, compile_kwargs={"literal_binds": True})
            found = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")
        else:
            for way in _FOR_SMALL_TABLES:
                await connection.execute(sa.text(f"SET enable_{way} = off"))
            compiled = statement.compile(dialect=own.dialect, compile_kwargs={"render_postcompile": True})
            values = tuple(compiled.params[name] for name in compiled.positiontup)
            found = await connection.exec_driver_sql(f"EXPLAIN {compiled}", values)
        return "\n".join(str(row[-1]) for row in found)
