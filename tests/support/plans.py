"""Query plans of the statements that a repository runs."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import sqlalchemy as sa

from askback_server.storage.database import Database

_FOR_SMALL_TABLES = ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "sort")
"""PostgreSQL's plans that need no index. On the empty tables of a test the planner would choose them."""


async def statements_of(call: Awaitable[Any]) -> list[Any]:
    """The statements on tables that a call runs. No other task may use a database meanwhile."""
    seen: list[Any] = []

    def note(_: Any, statement: Any, *__: Any) -> None:
        if not isinstance(statement, sa.Select) or statement.get_final_froms():
            seen.append(statement)

    sa.event.listen(sa.Engine, "before_execute", note)
    try:
        await call
    finally:
        sa.event.remove(sa.Engine, "before_execute", note)
    assert seen
    return seen


async def plan_of(database: Database, statement: Any) -> str:
    """The plan of a statement, one step per line."""
    own = database._dialect.reads
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
