"""The batch write on PostgreSQL: one statement, one round trip, one flush (docs/design.md 4.2).

    locked    jobs of the batch, locked in id order, whose version, session and time bounds hold; their
              sessions are locked too, so that they cannot be taken over or deleted before the commit
    updated   their new values              deleted   the jobs to delete (postgres_removal.py)
    created   new jobs, except those whose request_id exists; a job that is leased by its first write has a
              guard, as above
    won       the ids of these three; children and events are inserted only for jobs in `won`

Reasons, measured on prototypes: the guard is inside the locking CTE, because PostgreSQL evaluates it again
there after waiting for a row. Children use a hashed `IN` and never a join, because the planner assumes ten
rows for every array, and joins between CTEs become quadratic. New jobs are sorted, because unsorted unique
keys deadlock. The guards use clock_timestamp(), because now() is stale after a lock wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.sql.selectable import CTE

from askback_server.storage import rows
from askback_server.storage.batch import DELETES, PARTS, RULE_USES, SETTLES
from askback_server.storage.postgres_removal import delete_jobs
from askback_server.storage.postgres_rows import LOSERS, TABLES, Incoming
from askback_server.storage.postgres_rules import MayWrite, count_uses, jobs_with_valid_rules
from askback_server.storage.tables import carried_answers, checkpoints, events, jobs, prompts, sessions


def _session(i: dict[str, Any]) -> sa.Select[Any]:
    """The session of a guard, if it has not expired and is in the epoch of the guard."""
    return sa.select(sa.literal_column("1")).where(
        sessions.c.session_id == i["guard_session"],
        sa.or_(i["guard_epoch"] == sa.literal_column("0"), sessions.c.epoch == i["guard_epoch"]),
        sessions.c.expires_at > sa.func.clock_timestamp(),
    )


def _alive(i: dict[str, Any]) -> sa.ColumnElement[bool]:
    return sa.or_(i["guard_session"].is_(None), sa.exists(_session(i)))


def _lock_session(i: dict[str, Any]) -> sa.ColumnElement[bool]:
    """Like `_alive`, and lock the session until the commit: another worker that takes it over waits, and then
    sees all its jobs. A heartbeat does not wait, because it changes no key."""
    locked = _session(i).with_for_update(key_share=True, read=True)
    return sa.or_(i["guard_session"].is_(None), sa.exists(locked))


def _is_superseded(i: dict[str, Any]) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        sessions.c.session_id == i["guard_session"],
        i["guard_epoch"] > sa.literal_column("0"),
        sessions.c.epoch > i["guard_epoch"],
        sessions.c.expires_at > sa.func.clock_timestamp(),
    )


def _in_time(i: dict[str, Any]) -> sa.ColumnElement[bool]:
    now = sa.func.clock_timestamp()
    return sa.and_(
        sa.or_(i["not_before"].is_(None), i["not_before"] <= now),
        sa.or_(i["not_after"].is_(None), now < i["not_after"]),
    )


def statement(shape: Sequence[str]) -> sa.Select[Any]:
    """The statement for a shape: the parts that have rows. It returns one row (now, won, partly)."""
    ctes: list[CTE] = []
    winners: list[sa.Select[Any]] = []
    partly: sa.ColumnElement[Any] = sa.null()
    may_write = jobs_with_valid_rules(shape)
    if "changed_jobs" in shape:
        locked = _lock_jobs(Incoming("changed_jobs"), may_write)
        updated = (
            sa.update(jobs)
            .where(jobs.c.job_id == locked.c.job_id, sa.not_(locked.c.deleted))
            .values({c: locked.c[c] for c in rows.JOB_CHANGED_COLUMNS[1:]})
            .returning(jobs.c.job_id)
            .cte("updated")
        )
        winners.append(sa.select(updated.c.job_id))
        if DELETES in shape:
            ctes, deleted, partly = delete_jobs(locked)
            winners.append(sa.select(deleted.c.job_id))
    if "new_jobs" in shape:
        created = (
            pg.insert(jobs)
            .from_select(list(rows.JOB_COLUMNS), _new_jobs(shape, may_write), include_defaults=False)
            .on_conflict_do_nothing()
            .returning(jobs.c.job_id)
            .cte("created")
        )
        winners.append(sa.select(created.c.job_id))
    won = sa.union_all(*winners).cte("won")
    others = ("changed_jobs", "new_jobs", RULE_USES, DELETES, SETTLES)
    ctes += [_child(part, won) for part in shape if part not in others]
    if RULE_USES in shape:
        ctes.append(count_uses(won))
    wins = sa.select(sa.func.array_agg(sa.cast(won.c.job_id, sa.Text))).scalar_subquery()
    now = sa.func.clock_timestamp()
    return sa.select(now.label("now"), wins.label("won"), partly.label("partly")).add_cte(*ctes)


def reasons() -> sa.Select[Any, Any, Any]:
    """The query for the reasons of jobs that were not written, from their LOSER_COLUMNS: one row (dead, late,
    moved) of job ids.

    `dead`: the session of the guard has expired or has a newer epoch; `moved`: those of `dead` with a newer
    epoch; `late`: the time bounds do not hold. All others lost their version.
    """
    losers = Incoming(LOSERS)
    ids = sa.func.array_agg(sa.cast(losers.c["job_id"], sa.Text))
    dead = ids.filter(sa.not_(_alive(losers.c)))
    late = ids.filter(sa.not_(_in_time(losers.c)))
    moved = ids.filter(_is_superseded(losers.c))
    labelled = dead.label("dead"), late.label("late"), moved.label("moved")
    return sa.select(*labelled).select_from(losers.table)


def _lock_jobs(incoming: Incoming, may_write: MayWrite) -> CTE:
    carried = [incoming.c[c] for c in ("deleted", "in_steps", *rows.JOB_CHANGED_COLUMNS)]
    return (
        sa.select(*carried)
        .select_from(incoming.table)
        .join(jobs, jobs.c.job_id == incoming.c["job_id"])
        .where(jobs.c.version == incoming.c["expected"], _in_time(incoming.c), _lock_session(incoming.c))
        .where(*may_write(incoming.c["job_id"]))
        .order_by(jobs.c.job_id)
        .with_for_update(key_share=True, of=jobs)
        .cte("locked")
    )


def _new_jobs(shape: Sequence[str], may_write: MayWrite) -> sa.Select[Any]:
    incoming = Incoming("new_jobs")
    fresh = sa.select(*(incoming.c[c] for c in rows.JOB_COLUMNS))
    fresh = fresh.where(_in_time(incoming.c), _lock_session(incoming.c), *may_write(incoming.c["job_id"]))
    if "carried_checkpoints" in shape:
        # Locked: the source of the copy must not be deleted before the commit, nor parts of it.
        old = jobs.alias("old")
        there: sa.Select[Any] = sa.select(sa.literal_column("1")).where(
            old.c.job_id == incoming.c["retried_from"],
            sa.or_(old.c.purge_at.is_(None), old.c.purge_at > sa.func.clock_timestamp()),
        )
        locked = there.with_for_update(key_share=True, read=True)
        fresh = fresh.where(sa.or_(incoming.c["retried_from"].is_(None), sa.exists(locked)))
    if SETTLES in shape:
        fresh = fresh.where(~sa.exists().where(events.c.job_id == incoming.c["job_id"]))
    return fresh


def _copy_carried(part: str, incoming: Incoming) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """The CTEs that copy answers and checkpoints from the job that a new one retries, joined by key."""
    new, source = incoming.c["job_id"].label("job_id"), incoming.c["source_id"]
    if part == "carried_checkpoints":
        rest = checkpoints.c.key, checkpoints.c.value, checkpoints.c.created_at
        return sa.select(new, *rest).where(checkpoints.c.job_id == source)
    asked, carried, prompt_id = prompts.c, carried_answers.c, incoming.c["prompt_id"]
    given = sa.select(
        new,
        asked.key,
        asked.digest,
        asked.job_id.label("from_job_id"),
        asked.interaction_id,
        asked.response_data,
    ).where(asked.interaction_id == prompt_id, asked.job_id == source)
    before = sa.select(
        new, carried.key, carried.digest, carried.from_job_id, carried.prompt_id, carried.response
    ).where(carried.job_id == source, carried.key == incoming.c["key"], carried.prompt_id == prompt_id)
    return sa.union_all(given, before)


def _child(part: str, won: CTE) -> CTE:
    incoming = Incoming(part)
    # `IS true` keeps the planner from turning the IN into a join: a hashed subplan stays linear.
    theirs = incoming.c["job_id"].in_(sa.select(won.c.job_id)).is_(sa.true())
    table = TABLES[part]
    if part in ("changed_prompts", "amended_prompts"):
        return (
            sa.update(prompts)
            .where(prompts.c.interaction_id == incoming.c["interaction_id"], theirs)
            .values({c: incoming.c[c] for c in PARTS[part][2:]})
            .cte(part)
        )
    if part in ("carried_answers", "carried_checkpoints"):
        copied = _copy_carried(part, incoming).subquery()
        theirs = copied.c.job_id.in_(sa.select(won.c.job_id)).is_(sa.true())
        names = [c.name for c in table.columns]
        insert = pg.insert(table).from_select(names, sa.select(copied).where(theirs), include_defaults=False)
        return insert.cte(f"put_{part}")
    columns = PARTS[part]
    insert = pg.insert(table).from_select(
        list(columns), sa.select(*incoming.c.values()).where(theirs), include_defaults=False
    )
    if part in ("checkpoints", "understandings"):
        key = [c.name for c in table.primary_key.columns]
        insert = insert.on_conflict_do_update(
            index_elements=key, set_={c: insert.excluded[c] for c in columns if c not in key}
        )
    return insert.cte(f"put_{part}")
