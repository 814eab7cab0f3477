"""The life of a rule: proposed, active, off, deleted. Pure functions of one row."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from askback_server.domain.errors import Aborted, NotFound
from askback_server.domain.rules import Effect, Route, Rule, RuleSpec

APPROVALS = "askback.rules"
"""The type of the jobs that ask a second person about a rule. No rule answers or routes their prompts."""


class RuleNotFound(NotFound):
    """There is no such rule in a namespace that the caller may use."""

    reason = "RULE_NOT_FOUND"

    def __init__(self, rule_id: str) -> None:
        super().__init__(f"there is no rule {rule_id!r}; check the id and the namespace", rule_id=rule_id)


class RuleChanged(Aborted):
    """The rule has another newest revision than the caller has seen."""

    reason = "RULE_CHANGED"

    def __init__(self, rule_id: str, expected: int, newest: int) -> None:
        message = f"the newest revision of this rule is {newest}, not {expected}; read it again"
        super().__init__(message, rule_id=rule_id, expected=expected, newest=newest)


def rule_body(rule: RuleSpec) -> str:
    """What a second person reads before it approves a rule, as Markdown: all that it matches and does.

    Texts of the author are on one line or in a block of code, so that none can look like another line.
    """
    match = rule.match
    lines = [f"**{rule.effect}** — {_line(rule.reason)}", ""]
    if match.job_types:
        lines.append(f"- job types: {', '.join(sorted(match.job_types))}")
    if match.kinds:
        lines.append(f"- kinds: {', '.join(sorted(match.kinds))}")
    lines += [f"- label {_line(name)} = {_line(value)}" for name, value in sorted(match.labels.items())]
    if rule.answer is not None:
        lines.append(f"- answers {rule.answer.decision}")
    if rule.answer is not None and rule.answer.comment:
        lines.append(f"- comment: {_line(rule.answer.comment)}")
    if rule.effect is Effect.REFUSE:
        lines.append(f"- comment: {_line(rule.refusal)}")
    if rule.route is not None:
        lines += _route_lines(rule.route)
    lines.append(f"- until {rule.expires_at:%Y-%m-%d %H:%M} UTC, uses: {rule.max_uses or 'no limit'}")
    values = rule.answer.values_json if rule.answer is not None else ""
    for title, text in (("if", match.expression), ("unless", rule.unless), ("values", values)):
        if text.strip():
            lines += ["", f"{title}:", "", _code(text)]
    return "\n".join(lines)


def _route_lines(route: Route) -> list[str]:
    lines = []
    if route.audience is not None:
        users, groups = sorted(route.audience.users), sorted(route.audience.groups)
        names = [f"user {_line(name)}" for name in users] + [f"group {_line(name)}" for name in groups]
        lines.append(f"- asks only: {', '.join(names)}")
    if (approval := route.approval) is not None:
        text = f"- needs {approval.required} approvals, rejected by {approval.reject_at or 1}"
        text += "".join(f", {each.required} of group {_line(each.group)}" for each in approval.per_group)
        text += ", shared" if approval.shared else ""
        lines.append(f"{text}, rules may fill {approval.rules_may_fill}")
    if route.priority is not None:
        lines.append(f"- priority at least {route.priority}")
    if route.timeout is not None:
        lines.append(f"- timeout at most {route.timeout}")
    return lines


def _line(text: str) -> str:
    return " ".join(text.split())


def _code(text: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


class RuleState(StrEnum):
    """What a rule does now."""

    PROPOSED = "PROPOSED"
    ACTIVE = "ACTIVE"
    OFF = "OFF"
    EXPIRED = "EXPIRED"
    USED_UP = "USED_UP"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A revision that waits for a second person."""

    revision: int
    author: str
    spec: RuleSpec
    job_id: str = ""
    """The job that asks; empty until it is created."""


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule with its active revision and its proposal."""

    rule_id: str
    namespace: str
    created_at: datetime
    updated_at: datetime
    newest: int
    """The newest revision, active or not."""
    active: Rule | None = None
    """None if no revision has been activated."""
    authorised_by: str = ""
    """Who approved the active revision; empty if no approval was needed."""
    proposal: Proposal | None = None
    deleted_at: datetime | None = None

    def state(self, now: datetime) -> RuleState:
        """What it does at a time."""
        active = self.active
        if self.deleted_at is not None:
            return RuleState.DELETED
        if active is None:
            return RuleState.PROPOSED if self.proposal is not None else RuleState.OFF
        if not active.enabled:
            return RuleState.OFF
        if active.spec.expires_at is None or active.spec.expires_at <= now:
            return RuleState.EXPIRED
        if active.spec.max_uses and active.uses >= active.spec.max_uses:
            return RuleState.USED_UP
        return RuleState.ACTIVE


def write_revision(
    rule: StoredRule, spec: RuleSpec, author: str, now: datetime, *, needs_approval: bool
) -> StoredRule:
    """A new revision: active at once and on, or a proposal in place of an earlier one."""
    revision = rule.newest + 1
    rule = replace(rule, newest=revision, updated_at=now)
    if needs_approval:
        return replace(rule, proposal=Proposal(revision, author, spec))
    return _activate(rule, revision, author, spec, "")


def _activate(rule: StoredRule, revision: int, author: str, spec: RuleSpec, authorised_by: str) -> StoredRule:
    uses = rule.active.uses if rule.active is not None else 0
    active = Rule(rule.rule_id, revision, rule.namespace, author, spec, True, uses)
    return replace(rule, active=active, authorised_by=authorised_by, proposal=None)


def shorten(rule: StoredRule, spec: RuleSpec, now: datetime) -> StoredRule:
    """A new revision that only ends earlier. It keeps its author and needs no approval."""
    assert rule.active is not None
    revision = rule.newest + 1
    active = replace(rule.active, revision=revision, spec=spec)
    return replace(rule, newest=revision, updated_at=now, active=active, proposal=None)


def is_shortening(rule: StoredRule, spec: RuleSpec) -> bool:
    """Whether a spec differs from the active one only by an earlier end or fewer uses."""
    if rule.active is None:
        return False
    before = rule.active.spec
    if replace(spec, expires_at=before.expires_at, max_uses=before.max_uses) != before:
        return False
    assert spec.expires_at is not None
    assert before.expires_at is not None
    fewer = spec.max_uses == before.max_uses or (
        spec.max_uses != 0 and (before.max_uses == 0 or spec.max_uses < before.max_uses)
    )
    return spec.expires_at <= before.expires_at and fewer


def switch_off(rule: StoredRule, now: datetime) -> StoredRule:
    """Off at once; a proposal is dropped."""
    active = replace(rule.active, enabled=False) if rule.active is not None else None
    return replace(rule, active=active, proposal=None, updated_at=now)


def delete(rule: StoredRule, now: datetime) -> StoredRule:
    """Deleted for good. Its revisions are kept, because answers name them."""
    return replace(switch_off(rule, now), deleted_at=now)


def approve(rule: StoredRule, revision: int, authorised_by: str, now: datetime) -> StoredRule:
    """Activate exactly the proposed revision; nothing if it was decided already, or another is proposed."""
    proposal = rule.proposal
    if rule.deleted_at is not None or proposal is None or proposal.revision != revision:
        return rule
    found = _activate(rule, revision, proposal.author, proposal.spec, authorised_by)
    return replace(found, updated_at=now)


def drop_proposal(rule: StoredRule, revision: int, now: datetime) -> StoredRule:
    """Without the proposal, if it is of this revision."""
    if rule.proposal is None or rule.proposal.revision != revision:
        return rule
    return replace(rule, proposal=None, updated_at=now)


def note_job(rule: StoredRule, revision: int, job_id: str) -> StoredRule:
    """With the job that asks about the proposal of a revision."""
    if rule.proposal is None or rule.proposal.revision != revision:
        return rule
    return replace(rule, proposal=replace(rule.proposal, job_id=job_id))
