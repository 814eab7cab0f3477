"""The parts of a batch's statement that delete jobs on PostgreSQL (removal.py)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.selectable import CTE

from askback_server.storage.removal import CHILDREN, rows_to_delete
from askback_server.storage.tables import jobs


def delete_jobs(locked: CTE) -> tuple[list[CTE], CTE, sa.ScalarSelect[Any]]:
    """The parts that delete the jobs of a batch: those to add, the one that returns the ids of deleted jobs,
    and an array of the ids of those with rows left."""
    stepwise = sa.and_(locked.c.deleted, locked.c.in_steps)
    # An array: for an IN the planner may walk a whole index, because of the limit.
    of_steps = sa.func.any(sa.func.array(sa.select(locked.c.job_id).where(stepwise).scalar_subquery()))
    deletes: list[CTE] = []
    left: list[sa.ColumnElement[bool]] = []
    for table in CHILDREN:
        theirs = table.c.job_id == of_steps
        step = rows_to_delete(table, theirs, "ctid", sa.func.pg_column_size).cte(f"step_{table.name}")
        places = sa.func.array(sa.select(step.c.ctid).where(step.c.fits).scalar_subquery())
        here: sa.ColumnElement[Any] = sa.literal_column(f"{table.name}.ctid")
        deletes.append(sa.delete(table).where(here == sa.func.any(places)).cte(f"cut_{table.name}"))
        left.append(sa.exists().where(sa.not_(step.c.fits)))
    is_left = sa.or_(*left)
    gone = sa.select(locked.c.job_id).where(
        locked.c.deleted, sa.or_(locked.c.in_steps.is_not(sa.true()), sa.not_(is_left))
    )
    deleted = sa.delete(jobs).where(jobs.c.job_id.in_(gone)).returning(jobs.c.job_id).cte("deleted")
    ids = sa.func.array_agg(sa.cast(locked.c.job_id, sa.Text))
    partly = sa.select(ids).where(stepwise, is_left).scalar_subquery()
    return deletes, deleted, partly
