"""The part of a batch write on PostgreSQL that guards and counts the rules which it uses.

    usable    the used rules that are on, not expired, and have uses left for the whole batch; locked
    invalid   the jobs with a use whose rule is not usable, whose set of rules has another version, or whose
              author has changed in the directory; versions and authors are locked until the commit
    counted   the rules, with the uses of the jobs that were written

Locks are taken in the order rule, set, person. A change of a rule takes them in the same order (rules.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.selectable import CTE

from askback_server.storage.batch import RULE_USES
from askback_server.storage.people_tables import people
from askback_server.storage.postgres_rows import Incoming
from askback_server.storage.rule_tables import rule_sets, rules

MayWrite = Callable[[sa.ColumnElement[Any]], Sequence[sa.ColumnElement[bool]]]
"""The conditions on a job's id."""


def jobs_with_valid_rules(shape: Sequence[str]) -> MayWrite:
    """A function that makes the condition that all rules of a job hold. No condition without such a part."""
    if RULE_USES not in shape:
        return lambda _: ()
    invalid = _invalid()
    return lambda job_id: (job_id.not_in(sa.select(invalid.c.job_id)),)


def _invalid() -> CTE:
    uses = Incoming(RULE_USES)
    u = uses.c
    one: sa.ColumnElement[int] = sa.literal_column("1")
    usable = _usable()
    of_set = sa.select(one).where(
        rule_sets.c.namespace == u["namespace"], rule_sets.c.version == u["set_version"]
    )
    of_author = sa.select(one).where(
        people.c.namespace == u["namespace"],
        people.c.subject == u["author"],
        people.c.updated_at == u["author_version"],
        people.c.active,
        people.c.deleted_at.is_(None),
    )
    holds = sa.and_(
        u["rule_id"].in_(sa.select(usable.c.rule_id)),
        sa.exists(of_set.with_for_update(read=True)),
        sa.or_(u["author_version"].is_(None), sa.exists(of_author.with_for_update(read=True))),
    )
    return sa.select(u["job_id"]).select_from(uses.table).where(sa.not_(holds)).cte("invalid")


def _usable() -> CTE:
    uses = Incoming(RULE_USES)
    count = (
        sa.select(sa.func.count())
        .select_from(uses.table)
        .where(uses.c["rule_id"] == rules.c.rule_id)
        .correlate(rules)
        .scalar_subquery()
    )
    named = Incoming(RULE_USES)
    return (
        sa.select(rules.c.rule_id)
        .where(
            rules.c.rule_id.in_(sa.select(named.c["rule_id"]).select_from(named.table)),
            rules.c.enabled,
            rules.c.deleted_at.is_(None),
            rules.c.revision > sa.literal_column("0"),
            rules.c.expires_at > sa.func.clock_timestamp(),
            sa.or_(rules.c.max_uses == sa.literal_column("0"), rules.c.uses + count <= rules.c.max_uses),
        )
        .order_by(rules.c.rule_id)
        .with_for_update()
        .cte("usable")
    )


def count_uses(won: CTE) -> CTE:
    """Count the uses of the jobs that were written."""
    uses = Incoming(RULE_USES)
    counts = (
        sa.select(uses.c["rule_id"], sa.func.count().label("n"))
        .select_from(uses.table)
        .where(uses.c["job_id"].in_(sa.select(won.c.job_id)))
        .group_by(uses.c["rule_id"])
        .subquery("counts")
    )
    return (
        sa.update(rules)
        .where(rules.c.rule_id == counts.c.rule_id)
        .values(uses=rules.c.uses + counts.c.n)
        .cte("counted")
    )
