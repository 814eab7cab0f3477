"""Questions and rules for tests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from askback_server.domain.checks import normalise
from askback_server.domain.content import PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.limits import Limits
from askback_server.domain.rules import (
    CompiledRule,
    Effect,
    GivenAnswer,
    Match,
    Rule,
    RuleBook,
    RuleSet,
    RuleSpec,
    Standing,
)
from askback_server.expressions import Cel
from tests.support.aggregates import START

CEL = Cel()


def question(**fields: Any) -> PromptContent:
    """A normalised content; of the kind `confirm` unless another is given."""
    return normalise(PromptContent(**{"kind": "confirm", "title": "Deploy?"} | fields), Limits(), None)


def rule(
    rule_id: str = "r1",
    effect: Effect = Effect.ANSWER,
    *,
    when: str = "",
    author: str = "ann",
    uses: int = 0,
    **spec: Any,
) -> Rule:
    """A rule that matches every prompt of the kind `confirm` for which `when` is true."""
    given: dict[str, Any] = {"match": Match(kinds=frozenset({"confirm"}), expression=when)}
    if effect is Effect.ANSWER:
        given["answer"] = GivenAnswer(Decision.ACCEPT)
    if effect is Effect.REFUSE:
        given["refusal"] = "not here"
    given |= {"name": rule_id, "reason": "often", "expires_at": START + timedelta(days=30)} | spec
    return Rule(rule_id, 1, "default", author, RuleSpec(effect=effect, **given), uses=uses)


def compiled(each: Rule) -> CompiledRule:
    """A rule with its expressions compiled."""
    spec = each.spec
    when = CEL.compile(spec.match.expression) if spec.match.expression else None
    return CompiledRule(each, when, CEL.compile(spec.unless) if spec.unless else None)


def rule_set(*rules: Rule, groups: Iterable[str] = ("law",), version: int = 1, **standings: Any) -> RuleSet:
    """Rules whose authors are active members of `groups`, unless `standings` says otherwise."""
    known = {each.author: Standing(START, True, frozenset(groups)) for each in rules}
    wanted = {k: v for k, v in (known | standings).items() if v is not None}
    return RuleSet(version, tuple(map(compiled, rules)), wanted, CEL.version)


def rule_book(*rules: Rule, **options: Any) -> RuleBook:
    """The rules of the namespace `default`."""
    return RuleBook({"default": rule_set(*rules, **options)})
