"""Decides what the rules of a namespace say of a question. Order and specificity never matter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.approval_checks import ALONE
from askback_server.domain.approvals import Approval, GroupApproval
from askback_server.domain.content import Audience, EscalationStep, FinalAction, PromptContent
from askback_server.domain.decisions import AUTHORISING, Decision
from askback_server.domain.evolve import evolve
from askback_server.domain.rule_inputs import ExpressionError, Inputs
from askback_server.domain.rules import CompiledRule, Effect, Match, Rule, RuleSet
from askback_server.domain.votes import outcome_of

ReadInputs = Callable[[], Inputs]
"""Reads the inputs of expressions when the first is evaluated. Raises ExpressionError."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rules say of one question. All rules are sorted by id."""

    outcome: Effect
    """ANSWER, REFUSE or ASK."""
    matched: tuple[Rule, ...] = ()
    errors: tuple[Rule, ...] = ()
    """Rules whose expression could not be evaluated."""
    routes: tuple[Rule, ...] = ()
    deciding: tuple[Rule, ...] = ()
    """The rules with the outcome, which agree on the answer. Empty for ASK."""
    conflict: str = ""
    """Why people are asked although rules match, if it is for a conflict of the rules."""

    @property
    def is_silent(self) -> bool:
        """Whether no rule says anything."""
        return not self.matched and not self.errors


def fits(match: Match, content: PromptContent, job_type: str) -> bool:
    """Whether a question has the plain conditions of a rule."""
    return (
        (not match.job_types or job_type in match.job_types)
        and (not match.kinds or content.kind in match.kinds)
        and all(content.labels.get(name) == value for name, value in match.labels.items())
    )


def holds(rule: CompiledRule, content: PromptContent, job_type: str, inputs: ReadInputs) -> bool:
    """Whether a rule matches a question. Raises ExpressionError."""
    if not fits(rule.rule.spec.match, content, job_type):
        return False
    if rule.when is not None and not rule.when(inputs()):
        return False
    return rule.unless is None or not rule.unless(inputs())


def is_current(rule: Rule, now: datetime) -> bool:
    """Whether a rule that is on has not expired."""
    return rule.spec.expires_at is not None and now < rule.spec.expires_at


def decide(
    rules: RuleSet, content: PromptContent, job_type: str, inputs: ReadInputs, now: datetime
) -> Ruling:
    """Evaluate all rules of a namespace. An error is no match; of a rule other than ANSWER it asks people.

    A rule without uses left does not answer or route any more; one that refuses asks people then.
    """
    matched: list[Rule] = []
    errors: list[Rule] = []
    for each in rules.rules:
        if not is_current(each.rule, now):
            continue
        try:
            if holds(each, content, job_type, inputs):
                matched.append(each.rule)
        except ExpressionError:
            errors.append(each.rule)
    return combine(matched, errors, rules.has_uses_left)


def combine(matched: Iterable[Rule], errors: Iterable[Rule], has_uses_left: Callable[[Rule], bool]) -> Ruling:
    """The ruling of rules that match, and of rules with errors."""
    found, wrong = _sorted(matched), _sorted(errors)
    usable = [rule for rule in found if has_uses_left(rule)]
    refusing = [rule for rule in found if rule.spec.effect is Effect.REFUSE]
    answering = [rule for rule in usable if rule.spec.effect is Effect.ANSWER]
    routes = tuple(rule for rule in usable if rule.spec.effect is Effect.ROUTE)
    must_ask = any(rule.spec.effect is Effect.ASK for rule in found)
    must_ask = must_ask or any(rule.spec.effect is not Effect.ANSWER for rule in wrong)
    outcome: Effect = Effect.ASK
    deciding: tuple[Rule, ...] = ()
    conflict = ""
    if refusing:
        deciding = tuple(rule for rule in refusing if has_uses_left(rule))
        outcome = Effect.REFUSE if deciding else Effect.ASK
    elif answering and not must_ask:
        if len({_outcome_of(rule) for rule in answering}) == 1:
            outcome, deciding = Effect.ANSWER, tuple(answering)
        else:
            conflict = "rules with different answers match"
    return Ruling(outcome, found, wrong, routes, deciding, conflict)


def _sorted(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple(sorted(rules, key=lambda rule: rule.rule_id))


def _outcome_of(rule: Rule) -> str:
    given = rule.spec.answer
    assert given is not None
    return outcome_of(
        Answer(
            answer_id="",
            decision=given.decision,
            values_json=given.values_json,
            edits=(),
            comment="",
            source=AnswerSource.RULE,
            user_id="",
            revision=0,
            created_at=datetime.min,
        )
    )


def route(content: PromptContent, rules: Sequence[Rule]) -> tuple[PromptContent, str]:
    """A content after the rules that route it, and what conflicts; empty if nothing does.

    - Audience: that of the rules, in place of an empty one or of one that names all of it. Otherwise, and if
      the rules name different ones, it stays, and rules do not answer. Steps of the escalation ask no others.
    - Approval: at least as strict in each number as each rule and the asker say. Decisions of one person are
      not offered then. A question with nothing to approve gets none, and rules do not answer.
    - Priority: the highest. Timeout: the shortest.

    Silence must not accept sooner, nor in place of several people: an approval removes a default answer that
    accepts, and a timeout is not shortened with one.
    """
    routes = [rule.spec.route for rule in rules if rule.spec.route is not None]
    conflict = ""
    audiences = {r.audience for r in routes if r.audience is not None}
    if len(audiences) > 1:
        conflict = "rules with different audiences match"
    elif audiences:
        wanted = audiences.pop()
        if _narrows(content.audience, wanted):
            steps = tuple(_within(step, wanted) for step in content.escalation)
            content = evolve(content, audience=wanted, escalation=steps)
        else:
            conflict = "the audience of a rule is no part of the prompt's"
    priorities = [r.priority for r in routes if r.priority is not None]
    content = evolve(content, priority=max([content.priority, *priorities]))
    approvals = [r.approval for r in routes if r.approval is not None]
    if approvals:
        if content.approval is not None:
            approvals.append(content.approval)
        approved = _approve(content, reduce(stricter, approvals))
        if approved is not None:
            content = approved
        else:
            conflict = conflict or "a rule adds an approval, and the prompt offers nothing to approve"
    timeouts = [r.timeout for r in routes if r.timeout is not None]
    if timeouts and not _accepts_by_silence(content):
        content = evolve(content, timeout=min([*timeouts, *([content.timeout] if content.timeout else [])]))
    return content, conflict


def _approve(content: PromptContent, approval: Approval) -> PromptContent | None:
    """A content that needs an approval. None if it offers nothing to approve."""
    alone = ALONE if approval.required > 1 else frozenset[Decision]()
    options = tuple(option for option in content.decisions if option.decision not in alone)
    if not any(option.decision in AUTHORISING for option in options):
        return None
    content = evolve(content, approval=approval, decisions=options)
    default = content.default_answer
    if default is not None and (default.decision in AUTHORISING or content.option(default.decision) is None):
        content = evolve(content, final_action=FinalAction.EXPIRE, default_answer=None)
    return content


def _narrows(asked: Audience, wanted: Audience) -> bool:
    if not asked.users and not asked.groups:
        return True
    return wanted.users <= asked.users and wanted.groups <= asked.groups


def _within(step: EscalationStep, wanted: Audience) -> EscalationStep:
    """A step of the escalation that asks no people outside of an audience."""
    to, is_everyone = step.to, step.replace and step.to == Audience()
    if not is_everyone and to.users <= wanted.users and to.groups <= wanted.groups:
        return step
    return replace(step, to=Audience(), replace=False)


def _accepts_by_silence(content: PromptContent) -> bool:
    return content.default_answer is not None and content.default_answer.decision in AUTHORISING


def stricter(one: Approval, other: Approval) -> Approval:
    """The weakest approval that is at least as strict as both. Its order and grouping make no difference."""
    places = {each.group: each.required for each in one.per_group}
    for each in other.per_group:
        places[each.group] = max(each.required, places.get(each.group, 0))
    merged = Approval(
        max(one.required, other.required),
        tuple(GroupApproval(group, places[group]) for group in sorted(places)),
        min(one.reject_at or 1, other.reject_at or 1),
        one.shared and other.shared,
        min(one.rules_may_fill, other.rules_may_fill),
    )
    return replace(merged, required=max(merged.required, merged.least))
