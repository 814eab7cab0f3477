"""Query plans of the statements that a repository runs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import elements

from askback_server.storage.database import Database
from askback_server.storage.postgres import Postgres
from askback_server.storage.sqlite import SQLite
from askback_server.storage.sqlite_lookups import to_driver

_FOR_SMALL_TABLES = ("seqscan", "bitmapscan", "hashjoin", "mergejoin", "sort")
"""PostgreSQL's plans that need no index. On the empty tables of a test the planner would choose them."""


_VALUES: dict[Any, Mapping[str, Any]] = {}
"""What statements were given by name when they were last run."""


SAVEPOINTS = (elements.SavepointClause, elements.ReleaseSavepointClause, elements.RollbackToSavepointClause)


async def statements_of(call: Awaitable[Any]) -> list[Any]:
    """The statements on tables that a call runs. No other task may use a database meanwhile."""
    seen: list[Any] = []

    def note(_: Any, statement: Any, *__: Any) -> None:
        if not isinstance(statement, SAVEPOINTS) and _is_on_tables(statement):
            seen.append(statement)

    sa.event.listen(sa.Engine, "before_execute", note)
    try:
        with ExitStack() as patches:
            for kind in (Postgres, SQLite):
                for name in ("look_up", "read_list"):
                    patches.enter_context(_noting(kind, name, seen))
            await call
    finally:
        sa.event.remove(sa.Engine, "before_execute", note)
    assert seen
    return seen


def _is_on_tables(statement: Any) -> bool:
    return not isinstance(statement, sa.Select) or bool(statement.get_final_froms())


@contextmanager
def _noting(kind: type, name: str, seen: list[Any]) -> Iterator[None]:
    """Note the statements of a method that takes their values by name."""
    own = getattr(kind, name)

    async def note_and_run(self: Any, statement: Any, values: Any) -> Any:
        _VALUES[statement] = values
        if _is_on_tables(statement):
            seen.append(statement)
        return await own(self, statement, values)

    setattr(kind, name, note_and_run)
    try:
        yield
    finally:
        setattr(kind, name, own)


async def plan_of(database: Database, statement: Any, **values: Any) -> str:
    """The plan of a statement, one step per line; `values` are those that it takes by name."""
    own = database._dialect.reads
    values = values or dict(_VALUES.get(statement, {}))
    is_sqlite = own.dialect.name == "sqlite"
    async with own.connect() as connection:
        if is_sqlite and not values:
            sql = statement.compile(dialect=own.dialect, compile_kwargs={"literal_binds": True})
            found = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")
            return "\n".join(str(row[-1]) for row in found)
        if not is_sqlite:
            for way in _FOR_SMALL_TABLES:
                await connection.execute(sa.text(f"SET enable_{way} = off"))
        compiled = statement.compile(dialect=own.dialect, compile_kwargs={"render_postcompile": True})
        parameters = _parameters(compiled, values)
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        found = await connection.exec_driver_sql(f"{explain} {compiled}", parameters)
        return "\n".join(str(row[-1]) for row in found)


def _parameters(compiled: Any, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """The parameters of a statement as the driver takes them."""
    if compiled.dialect.name == "sqlite":
        values = {name: to_driver(value) for name, value in values.items()}
    return tuple(values.get(name, compiled.params[name]) for name in compiled.positiontup)


async def analyse(database: Database, call: Awaitable[Any]) -> str:
    """The plan of the statement that a call runs by name, with what PostgreSQL has read for it."""
    [statement] = await statements_of(call)
    own = database._dialect.reads
    compiled = statement.compile(dialect=own.dialect)
    values = _parameters(compiled, _VALUES[statement])
    async with own.connect() as connection:
        found = await connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {compiled}", values
        )
        return "\n".join(str(row[-1]) for row in found)


async def cost_of(database: Database, statement: Any) -> int:
    """What a statement costs by its index: the rows that PostgreSQL's plan reads, dropped ones included, or
    the steps of SQLite's program in tens."""
    own = database._dialect.reads
    async with own.connect() as connection:
        compiled = statement.compile(dialect=own.dialect)
        values = _parameters(compiled, _VALUES.get(statement, {}))
        if own.dialect.name == "sqlite":
            raw: Any = (await connection.get_raw_connection()).driver_connection
            steps = [0]

            def count() -> int:
                steps[0] += 1
                return 0

            await raw.set_progress_handler(count, 10)
            try:
                await connection.exec_driver_sql(str(compiled), values)
            finally:
                await raw.set_progress_handler(None, 10)
            return steps[0]
        for way in _FOR_SMALL_TABLES:
            await connection.execute(sa.text(f"SET enable_{way} = off"))
        found = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, TIMING OFF) {compiled}", values)
        plan = "\n".join(str(row[-1]) for row in found)
        [scan] = re.findall(r"Scan (?:Backward )?using .*\(actual rows=(\d+)", plan)
        return int(scan) + sum(int(n) for n in re.findall(r"Rows Removed.*: (\d+)", plan))
