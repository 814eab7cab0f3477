"""Fill a database with many equal jobs: the engine writes two, and SQL copies the first.

A copy has new ids and times, in the order in which the engine would give them, and equals what the engine
writes in everything else. `seed` compares the first copy with the second job of the engine before it returns.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from askback_server.domain.commands import CreateJob
from askback_server.domain.decisions import Decision
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt
from askback_server.storage import tables
from askback_server.storage.settings import COUNTED, put_setting
from askback_server.storage.types import Instant
from askback_server.transport.convert import contents
from tests.bench import messages
from tests.support.aggregates import CLIENT
from tests.support.storage import Node, node

COPIED = (tables.jobs, tables.prompts, tables.answers, tables.events)
AT_ONCE = 50_000
"""Copies of one statement."""
SPREAD = 2_654_435_761
"""An odd factor: it gives each number its own last bits of an id, without an order."""
BEFORE_S = 4
"""Seconds by which a copy is older than its template. Each is a microsecond younger than the one before."""
KINDS = {"job_id": "001", "interaction_id": "002", "prompt_id": "002", "command_id": "003"}
"""Part of the copied ids, by column."""

LINKS = ("chain", "hash", "salt", "document_salt", "documents")
"""The columns of the hash chain: in copies they are those of the template."""

VOLATILE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
"""A time in a document."""

Write = Callable[[Node], Awaitable[str]]
"""Makes the engine write one job. Returns its id."""


class UnequalCopy(Exception):
    """A copy differs from what the engine writes."""


async def write_waiting(replica: Node) -> str:
    """Write a job without a worker that waits for its prompt."""
    job, _ = await _create(replica, "waiting")
    return job.job_id


async def write_finished(replica: Node) -> str:
    """Write a job without a worker whose prompt is answered."""
    job, prompt = await _create(replica, "finished")
    await replica.answer(prompt, decision=Decision.RESPOND, values_json=messages.VALUES_JSON)
    return job.job_id


async def write_queued(replica: Node) -> str:
    """Write a job that is ready for a worker."""
    return (await replica.create(job_type="bench.0")).job_id


async def write_timed(replica: Node) -> str:
    """Write a job without a worker whose prompt has a deadline in an hour."""
    job, _ = await _create(replica, "timed", timeout_s=3600)
    return job.job_id


async def _create(replica: Node, job_type: str, timeout_s: int = 0) -> tuple[Job, Prompt]:
    message = messages.content("form")
    if timeout_s:
        message.timeout.seconds = timeout_s
    content = contents.content(message, "content")
    command = CreateJob(principal=CLIENT, namespace="", job_type=job_type, prompt=content)
    made = await replica.do(command)
    return made.job, made.prompt


async def seed(url: str, write: Write, count: int, varied: Mapping[str, str] | None = None) -> None:
    """Store `count` jobs, at least three, like the one that `write` makes. Raises UnequalCopy.

    `varied` has the SQL of columns that differ from copy to copy, by the copy's number `n`.
    """
    varied = varied or {}
    async with node(url) as replica:
        template, other = await write(replica), await write(replica)
        run = replica.database._dialect.run
        for start in range(2, count, AT_ONCE):
            await run(
                partial(_copy, template=template, start=start, end=min(start + AT_ONCE, count), varied=varied)
            )
        await run(_count_log)
        await run(partial(compare, copied=_id(template, 2), written=other, varied=varied))


def _copy(connection: sa.Connection, template: str, start: int, end: int, varied: Mapping[str, str]) -> None:
    """Copy the rows of the template once for each number from `start` to `end`."""
    postgres = connection.dialect.name == "postgresql"
    numbers = (
        f"generate_series({start}, {end - 1}) AS numbers(n)"
        if postgres
        else f"(WITH RECURSIVE r(n) AS (SELECT {start} UNION ALL SELECT n + 1 FROM r WHERE n < {end - 1})"
        " SELECT n FROM r) AS numbers"
    )
    for table in COPIED:
        # The database gives these two. On SQLite the second is the engine's, and always 0.
        given = {"id", "xid"} if postgres else {"id"}
        columns = [column for column in table.columns if column.name not in given]
        values = ", ".join(varied.get(c.name) or _value(template, c, postgres) for c in columns)
        names = ", ".join(f'"{column.name}"' for column in columns)
        order = ", t.seq" if table is tables.events else ""
        # In the order of the copies: the events of one job lie beside each other, as those of the engine.
        connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({names}) SELECT {values} FROM {table.name} t, {numbers} "
            f"WHERE t.job_id = '{template}' ORDER BY n{order}"
        )
    if postgres:
        connection.exec_driver_sql("ANALYZE")


def _count_log(connection: sa.Connection) -> None:
    """Mark the log as counted: a server would read all of it once, which is not what cases measure."""
    newest = tables.events.c.xid.desc(), tables.events.c.id.desc()
    last = connection.execute(sa.select(tables.events.c.xid, tables.events.c.id).order_by(*newest).limit(1))
    xid, id = last.one()
    put_setting(connection, COUNTED, f"{xid}:{id}:")


def _value(template: str, column: sa.Column[Any], postgres: bool) -> str:
    """The SQL of a column's value in the copy with number `n`."""
    name = f't."{column.name}"'
    if isinstance(column.type, Instant):
        if postgres:
            return f"{name} - interval '{BEFORE_S} s' + n * interval '1 microsecond'"
        us = f"(strftime('%s', {name}) - {BEFORE_S}) * 1000000 + CAST(substr({name}, 21, 6) AS INTEGER) + n"
        day = f"strftime('%Y-%m-%dT%H:%M:%S', ({us}) / 1000000, 'unixepoch')"
        return f"{day} || printf('.%06d+00:00', ({us}) % 1000000)"
    if column.name not in KINDS:
        return name
    own = _id_sql(template, KINDS[column.name], postgres)
    return f"CASE WHEN {name} IS NULL THEN NULL ELSE {own} END"


def _first_ms(template: str) -> int:
    return int(template.replace("-", "")[:12], 16) - 1000 * BEFORE_S


def _id(template: str, n: int) -> str:
    """The id of the job with number `n`."""
    stamp = f"{_first_ms(template) + n // 1000:012x}"
    return f"{stamp[:8]}-{stamp[8:]}-7{KINDS['job_id']}-8000-{n * SPREAD % (1 << 48):012x}"


def _id_sql(template: str, kind: str, postgres: bool) -> str:
    stamp, rest = f"{_first_ms(template)} + n / 1000", f"(n * {SPREAD}) % {1 << 48}"
    if postgres:
        return f"(lpad(to_hex({stamp}), 12, '0') || '7{kind}8000' || lpad(to_hex({rest}), 12, '0'))::uuid"
    text = f"printf('%012x', {stamp})"
    return f"substr({text}, 1, 8) || '-' || substr({text}, 9) || '-7{kind}-8000-' || printf('%012x', {rest})"


def compare(connection: sa.Connection, copied: str, written: str, varied: Collection[str] = ()) -> None:
    """Raise UnequalCopy unless two jobs are equal but for their ids, times and these columns."""
    for table in COPIED:
        copy, original = (_rows(connection, table, job_id) for job_id in (copied, written))
        if len(copy) != len(original):
            raise UnequalCopy(f"{table.name}: {len(copy)} rows instead of {len(original)}")
        for mine, theirs in zip(copy, original, strict=True):
            for column, value, expected in zip(table.columns, mine, theirs, strict=True):
                if (
                    column.name not in LINKS
                    and column.name not in varied
                    and not _are_alike(column, value, expected)
                ):
                    raise UnequalCopy(f"{table.name}.{column.name}: {value!r} instead of {expected!r}")


def _rows(connection: sa.Connection, table: sa.Table, job_id: str) -> Sequence[Any]:
    """The rows as the driver gives them."""
    order = "ORDER BY seq" if table is tables.events else ""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    found = f"SELECT {names} FROM {table.name} WHERE job_id = '{job_id}' {order}"
    return connection.exec_driver_sql(found).all()


def _are_alike(column: sa.Column[Any], value: Any, expected: Any) -> bool:
    if type(value) is not type(expected):
        return False
    if column.name in ("id", "xid") or expected is None:
        return True
    if isinstance(column.type, Instant):
        if isinstance(value, str) and len(value) != len(expected):
            return False
        return abs((_time(value) - _time(expected)).total_seconds()) < 60
    if column.name in KINDS:
        return len(str(value)) == len(str(expected)) and value != expected
    if isinstance(value, str):
        return VOLATILE.sub("", value) == VOLATILE.sub("", expected)
    return bool(value == expected)


def _time(value: Any) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)
