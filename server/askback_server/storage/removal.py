"""Delete jobs, with or without steps (`JobWrite.in_steps`).

The rows of a job in other tables go with it, by their foreign keys. In steps, at most STEP_ROWS rows and
about STEP_BYTES of each such table are deleted by one write, of all its jobs together. If that leaves none,
the jobs go too: with few rows, everything is one step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from askback_server.storage.tables import answers, carried_answers, checkpoints, prompts

STEP_ROWS = 100
"""Maximum number of rows of a table that one step deletes: a step takes about 10 ms."""
STEP_BYTES = 1024 * 1024
"""Bytes of a table's documents after which a step deletes no further row."""

CHILDREN: dict[sa.Table, tuple[sa.ColumnElement[Any], ...]] = {
    answers: (answers.c.answer, answers.c.violations),
    prompts: (prompts.c.prompt_data, prompts.c.response_data, prompts.c.metadata),
    checkpoints: (checkpoints.c.value,),
    carried_answers: (carried_answers.c.response,),
}
"""The tables of which a job may have many rows, each with its documents."""

Octets = Callable[[sa.ColumnElement[Any]], sa.ColumnElement[int]]


def rows_to_delete(
    table: sa.Table, theirs: sa.ColumnElement[bool], place: str, octets: Octets
) -> sa.Select[Any]:
    """Rows of some jobs by `place`, the name of the column with a row's physical place. `fits` says whether
    the row belongs to the step: another one shows that rows remain."""
    nothing: sa.ColumnElement[Any] = sa.literal_column("0")
    size = sum((sa.func.coalesce(octets(c), nothing) for c in CHILDREN[table]), start=nothing)
    some = (
        sa.select(sa.literal_column(f"{table.name}.{place}").label(place), size.label("size"))
        .select_from(table)
        .where(theirs)
        .limit(sa.literal_column(str(STEP_ROWS + 1)))
        .subquery()
    )
    until = sa.func.sum(some.c.size).over(rows=(None, 0))
    number = sa.func.row_number().over()
    fits = sa.and_(
        number <= sa.literal_column(str(STEP_ROWS)),
        until - some.c.size < sa.literal_column(str(STEP_BYTES)),
    )
    return sa.select(some.c[place], fits.label("fits"))
