"""Rules: a row each, a row for each revision, and the version of each namespace's set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from askback_server.domain.people import Source
from askback_server.domain.rule_documents import spec_from_json, spec_to_json
from askback_server.domain.rules import Rule, RuleSpec, Standing
from askback_server.domain.stored_rules import Proposal, StoredRule
from askback_server.ports.rules import RuleDecision
from askback_server.storage.people_tables import group_members, people
from askback_server.storage.reader import Reader, named
from askback_server.storage.rule_tables import rule_revisions, rule_sets, rules
from askback_server.storage.types import Instant

_INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_VERSIONS = sa.select(rule_sets)

_active = rule_revisions.alias("active")
_proposed = rule_revisions.alias("proposed_revision")
_WHOLE = sa.select(
    rules,
    _active.c.author.label("active_author"),
    _active.c.document.label("active_document"),
    _active.c.authorised_by,
    _proposed.c.author.label("proposed_author"),
    _proposed.c.document.label("proposed_document"),
).select_from(
    rules.outerjoin(
        _active, sa.and_(_active.c.rule_id == rules.c.rule_id, _active.c.revision == rules.c.revision)
    ).outerjoin(
        _proposed, sa.and_(_proposed.c.rule_id == rules.c.rule_id, _proposed.c.revision == rules.c.proposed)
    )
)
_OF_NAMESPACE = rules.c.namespace == named("namespace", rules.c.namespace)
# In one statement, so that the version is that of the rules.
_SET = (
    _WHOLE.add_columns(rule_sets.c.version.label("set_version"))
    .join(rule_sets, rule_sets.c.namespace == rules.c.namespace)
    .where(_OF_NAMESPACE, rules.c.deleted_at.is_(None))
    .order_by(rules.c.rule_id)
)


class RuleRows(Reader):
    """The RuleStore port."""

    async def read_versions(self) -> Mapping[str, int]:
        """Read the whole table: it has one small row per namespace with rules."""
        return {row["namespace"]: row["version"] for row in await self._look_up(_VERSIONS)}

    async def read_set(self, namespace: str) -> tuple[int, Sequence[StoredRule]]:
        """Read the rules by the index of the namespace. Without any the version is 0."""
        rows = await self._look_up(_SET, namespace=namespace)
        return (rows[0]["set_version"] if rows else 0), [_to_rule(row) for row in rows]

    async def read_uses(self, namespaces: Collection[str]) -> Mapping[str, int]:
        """Read the rows of the rules alone, by the index of the namespace."""
        r = rules.c
        ours = self._dialect.among(r.namespace, sorted(namespaces))
        statement = sa.select(r.rule_id, r.uses).where(ours, r.max_uses > 0, r.deleted_at.is_(None))
        return {row["rule_id"]: row["uses"] for row in await self._all(statement)}

    async def read_standings(
        self, people_: Collection[tuple[str, str]]
    ) -> Mapping[tuple[str, str], Standing]:
        """Read the people and their current memberships, a namespace at a time, as of one moment each."""
        subjects: defaultdict[str, list[str]] = defaultdict(list)
        for namespace, subject in sorted(people_):
            subjects[namespace].append(subject)
        found: dict[tuple[str, str], Standing] = {}
        for namespace, names in subjects.items():
            p, g = people.c, group_members.c
            statement = (
                sa.select(p.subject, p.updated_at, p.active, p.has_credentials, g.group_name, g.source)
                .select_from(
                    people.outerjoin(
                        group_members,
                        sa.and_(g.namespace == p.namespace, g.subject == p.subject, g.until_at.is_(None)),
                    )
                )
                .where(
                    p.namespace == namespace, self._dialect.among(p.subject, names), p.deleted_at.is_(None)
                )
            )
            for row in await self._all(statement):
                key = (namespace, row["subject"])
                before = found.get(key) or Standing(
                    row["updated_at"], bool(row["active"] and row["has_credentials"]), frozenset()
                )
                found[key] = _with_group(before, row["group_name"], row["source"])
        return found

    async def change(self, rule_id: str, namespace: str, decide: RuleDecision) -> StoredRule:
        """See RuleStore. The rule is locked before the set, as the writes that use it do."""
        clock = sa.select(sa.type_coerce(self._dialect.now(), Instant()))
        one = rules.c.rule_id == rule_id, rules.c.namespace == namespace

        def work(connection: sa.Connection) -> StoredRule:
            while True:
                connection.execute(sa.select(rules.c.rule_id).where(*one).with_for_update()).all()
                row = connection.execute(_WHOLE.where(*one)).mappings().one_or_none()
                stored = _to_rule(row) if row is not None else None
                wanted = decide(stored, connection.execute(clock).scalar_one())
                if wanted == stored:
                    return wanted
                if stored is not None:
                    connection.execute(sa.update(rules).where(*one).values(_row(wanted)))
                    break
                values = {
                    "rule_id": rule_id,
                    "namespace": namespace,
                    "created_at": wanted.created_at,
                    "uses": 0,
                }
                new = _INSERT[self._dialect.name](rules).values(**values, **_row(wanted))
                if connection.execute(new.on_conflict_do_nothing()).rowcount == 1:
                    break
                # Another call has created it since: decide again, on its row.
            self._add_revisions(connection, stored, wanted)
            self._raise_version(connection, namespace)
            return wanted

        found: StoredRule = await self._dialect.run(work)
        return found

    def _add_revisions(
        self, connection: sa.Connection, stored: StoredRule | None, wanted: StoredRule
    ) -> None:
        known = stored.newest if stored is not None else 0
        active, proposal = wanted.active, wanted.proposal
        for written in (active, proposal):
            if written is not None and written.revision > known:
                connection.execute(
                    sa.insert(rule_revisions).values(
                        rule_id=wanted.rule_id,
                        revision=written.revision,
                        author=written.author,
                        document=spec_to_json(written.spec),
                        created_at=wanted.updated_at,
                        authorised_by="",
                    )
                )
        if active is not None and wanted.authorised_by:
            mine = rule_revisions.c.rule_id == wanted.rule_id, rule_revisions.c.revision == active.revision
            connection.execute(
                sa.update(rule_revisions).where(*mine).values(authorised_by=wanted.authorised_by)
            )

    def _raise_version(self, connection: sa.Connection, namespace: str) -> None:
        row: Any = _INSERT[self._dialect.name](rule_sets).values(namespace=namespace, version=1)
        connection.execute(
            row.on_conflict_do_update(
                index_elements=[rule_sets.c.namespace], set_={"version": rule_sets.c.version + 1}
            )
        )

    async def list_rules(
        self, namespace: str, limit: int, after: str, *, include_deleted: bool
    ) -> Sequence[StoredRule]:
        """Read by the index of the namespace."""
        where = [rules.c.namespace == namespace]
        if after:
            where.append(rules.c.rule_id > after)
        if not include_deleted:
            where.append(rules.c.deleted_at.is_(None))
        statement = _WHOLE.where(*where).order_by(rules.c.rule_id).limit(limit)
        return [_to_rule(row) for row in await self._all(statement)]


def _with_group(standing: Standing, group: str | None, source: str | None) -> Standing:
    if group is None:
        return standing
    own = standing.groups | {group} if source == Source.CREDENTIALS else standing.groups
    return Standing(standing.version, standing.is_active, own, standing.all_groups | {group})


def _row(rule: StoredRule) -> dict[str, Any]:
    """The columns that a change may set. `uses` is counted by the writes that use the rule."""
    active, proposal = rule.active, rule.proposal
    return {
        "revision": active.revision if active is not None else 0,
        "newest": rule.newest,
        "enabled": active is not None and active.enabled,
        "expires_at": active.spec.expires_at if active is not None else None,
        "max_uses": active.spec.max_uses if active is not None else 0,
        "proposed": proposal.revision if proposal is not None else 0,
        "proposal_job": (proposal.job_id or None) if proposal is not None else None,
        "updated_at": rule.updated_at,
        "deleted_at": rule.deleted_at,
    }


def _to_rule(row: Any) -> StoredRule:
    active = proposal = None
    if row["revision"]:
        spec: RuleSpec = spec_from_json(row["active_document"])
        active = Rule(
            row["rule_id"],
            row["revision"],
            row["namespace"],
            row["active_author"],
            spec,
            bool(row["enabled"]),
            row["uses"],
        )
    if row["proposed"]:
        spec = spec_from_json(row["proposed_document"])
        proposal = Proposal(row["proposed"], row["proposed_author"], spec, row["proposal_job"] or "")
    return StoredRule(
        row["rule_id"],
        row["namespace"],
        row["created_at"],
        row["updated_at"],
        row["newest"],
        active,
        row["authorised_by"] or "",
        proposal,
        row["deleted_at"],
    )
