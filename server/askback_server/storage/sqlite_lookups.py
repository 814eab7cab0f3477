"""Statements that are built once, run by the driver in threads of their own.

By SQLAlchemy and aiosqlite such a statement takes 0.5 ms of CPU: five ways to a thread and back, of which one
does the work. Here it is compiled once and takes one.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import dialect as pysqlite_dialect

from askback_server.domain.errors import StorageUnavailable
from askback_server.domain.instants import iso_text

Statement = sa.Select[Any] | sa.CompoundSelect[Any]

THREADS = 2
"""Threads that run look-ups, and their connections: a large one must not hold up the others."""

_DIALECT = pysqlite_dialect()


class Lookups:
    """The threads and their connections, which `connect` opens."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], name: str) -> None:
        """`name` is that of the threads."""
        self._connect = connect
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._idle: list[sqlite3.Connection] = []
        """The open connections that are not in use: one for each thread without a look-up."""

    def open(self) -> None:
        """Open all connections now: later, a flood of clients may leave no file descriptor.

        Raises sqlite3.Error.
        """
        while len(self._idle) < THREADS:
            self._idle.append(self._connect())

    def connections(self) -> Mapping[str, int]:
        """The open connections by state: `in_use` and `idle`."""
        idle = len(self._idle)
        return {"in_use": THREADS - idle, "idle": idle}

    async def run(self, statement: Statement, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """The rows of a statement. Raises StorageUnavailable."""
        compiled = compile_lookup(statement)
        given = {name: to_driver(value) for name, value in values.items()}
        parameters = [given.get(p.name, p.value) for p in compiled.parameters]
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._fetch, compiled, parameters
            )
        except (sqlite3.OperationalError, sqlite3.InterfaceError) as error:
            raise StorageUnavailable(f"the database does not answer: {error}") from error

    def _fetch(self, compiled: CompiledLookup, parameters: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
        connection = self._idle.pop()
        try:
            found = connection.execute(compiled.sql, parameters).fetchall()
        finally:
            self._idle.append(connection)
        return [compiled.to_row(values) for values in found]

    async def close(self) -> None:
        """Wait for running look-ups, then close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._idle:
            connection.close()


class Parameter(NamedTuple):
    """A parameter of a compiled statement."""

    name: str
    value: Any
    """The value if none is given: a constant."""


class CompiledLookup(NamedTuple):
    """A statement as the driver takes it."""

    sql: str
    parameters: Sequence[Parameter]
    """In their order."""
    names: Sequence[str]
    """The columns of a row."""
    converters: Sequence[tuple[str, Callable[[Any], Any]]]
    """Of the columns whose values the driver gives in another type."""

    def to_row(self, values: Sequence[Any]) -> dict[str, Any]:
        """A row by column name."""
        row = dict(zip(self.names, values, strict=True))
        for name, convert in self.converters:
            row[name] = convert(row[name])
        return row


@lru_cache(maxsize=256)
def compile_lookup(statement: Statement) -> CompiledLookup:
    """Compile a statement for the driver."""
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    columns = list(statement.selected_columns)
    converters = [(c.name, _implementation(c.type).result_processor(_DIALECT, None)) for c in columns]
    names = compiled.positiontup or ()
    return CompiledLookup(
        str(compiled),
        [Parameter(name, _value_of(compiled.binds[name])) for name in names],
        [c.name for c in columns],
        [(name, convert) for name, convert in converters if convert is not None],
    )


def to_driver(value: Any) -> Any:
    """A given value as the driver takes it: lists are JSON texts, and times are sortable ones."""
    if isinstance(value, int | str):
        return value
    return iso_text(value) if isinstance(value, datetime) else json.dumps(list(value))


def _value_of(bind: sa.BindParameter[Any]) -> Any:
    convert = _implementation(bind.type).bind_processor(_DIALECT)
    return bind.value if convert is None else convert(bind.value)


def _implementation(type: sa.types.TypeEngine[Any]) -> Any:
    return type.dialect_impl(_DIALECT)
