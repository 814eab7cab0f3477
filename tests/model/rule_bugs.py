"""Planted bugs of rules, one per guarantee: the state machine must find each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from askback_server.domain import rule_answers, rulings
from askback_server.domain.evolve import evolve
from askback_server.domain.prompts import Prompt
from askback_server.domain.rules import Effect, Rule, RuleSet
from askback_server.domain.rulings import Ruling
from askback_server.storage import postgres, postgres_batch
from askback_server.storage.sqlite_rules import RuleGuards

Patch = pytest.MonkeyPatch


def _let_an_outdated_replica_use_rules(patch: Patch) -> None:
    patch.setattr(RuleGuards, "hold", lambda *_: True)


def _guard_without(place: int, value: Any) -> Callable[[Patch], None]:
    """The write is not guarded by one column of the part `rule_uses`."""

    def plant(patch: Patch) -> None:
        is_valid = RuleGuards._is_valid

        def is_valid_without(self: RuleGuards, use: tuple[Any, ...]) -> bool:
            if place == 2:
                found = self._one("SELECT version FROM rule_sets WHERE namespace = ?", use[1])
                return is_valid(self, (*use[:2], found[0], *use[3:]))
            return is_valid(self, (*use[:place], value, *use[place + 1 :]))

        patch.setattr(RuleGuards, "_is_valid", is_valid_without)

    return plant


def _split(matched: Iterable[Rule]) -> tuple[list[Rule], list[Rule]]:
    """The rules that route, and the others."""
    found = list(matched)
    routes = [rule for rule in found if rule.spec.effect is Effect.ROUTE]
    return routes, [rule for rule in found if rule.spec.effect is not Effect.ROUTE]


def _let_the_first_rule_decide(patch: Patch) -> None:
    combine = rulings.combine

    def by_order(matched: Iterable[Rule], errors: Iterable[Rule], has_uses_left: Any) -> Ruling:
        routes, others = _split(matched)
        return combine([*others[:1], *routes], errors, has_uses_left)

    patch.setattr(rulings, "combine", by_order)


def _let_the_most_specific_rule_decide(patch: Patch) -> None:
    combine = rulings.combine

    def conditions(rule: Rule) -> int:
        match = rule.spec.match
        return bool(match.kinds) + bool(match.labels) + bool(match.expression) + bool(match.job_types)

    def by_specificity(matched: Iterable[Rule], errors: Iterable[Rule], has_uses_left: Any) -> Ruling:
        routes, others = _split(matched)
        most = max(map(conditions, others), default=0)
        return combine([*(r for r in others if conditions(r) == most), *routes], errors, has_uses_left)

    patch.setattr(rulings, "combine", by_specificity)


def _answer_of(change_prompt: Callable[[Prompt], Prompt]) -> Callable[[Patch], None]:
    """The rules judge who may answer by another prompt than the one that is asked."""

    def plant(patch: Patch) -> None:
        answer_of, within = rule_answers._answer_of, rule_answers._within
        patch.setattr(
            rule_answers,
            "_answer_of",
            lambda change, prompt, *rest: answer_of(change, change_prompt(prompt), *rest),
        )
        patch.setattr(
            rule_answers, "_within", lambda prompt, answering: within(change_prompt(prompt), answering)
        )

    return plant


def _exclude_no_one(prompt: Prompt) -> Prompt:
    return evolve(prompt, content=evolve(prompt.content, exclusion=None))


def _let_rules_fill_one_place(prompt: Prompt) -> Prompt:
    approval = prompt.content.approval
    if approval is None or approval.rules_may_fill:
        return prompt
    return evolve(prompt, content=evolve(prompt.content, approval=replace(approval, rules_may_fill=1)))


def _forget_delegations(prompt: Prompt) -> Prompt:
    return evolve(prompt, content=evolve(prompt.content, delegations=None))


def _forget_claims(prompt: Prompt) -> Prompt:
    return evolve(prompt, claimed_by="", claimed_until=None)


def _allow_one_use_more(patch: Patch) -> None:
    has_uses_left, one = RuleSet.has_uses_left, RuleGuards._one

    def has_one_more(self: RuleSet, rule: Rule) -> bool:
        return has_uses_left(self, replace(rule, uses=rule.uses - 1))

    def count_one_less(self: RuleGuards, sql: str, *values: Any) -> Any:
        found = one(self, sql, *values)
        return (found[0], found[1] - 1) if found is not None and len(found) == 2 else found

    patch.setattr(RuleSet, "has_uses_left", has_one_more)
    patch.setattr(RuleGuards, "_one", count_one_less)


def _count_no_uses(patch: Patch) -> None:
    patch.setattr(RuleGuards, "count_uses", lambda *_: None)


def _count_uses_of_lost_writes(patch: Patch) -> None:
    count = RuleGuards.count_uses
    patch.setattr(RuleGuards, "count_uses", lambda self, _: count(self, list(self._uses)))


def _take_an_error_for_no_match(patch: Patch) -> None:
    combine = rulings.combine
    patch.setattr(rulings, "combine", lambda matched, errors, left: combine(matched, (), left))


def _route_wider(patch: Patch) -> None:
    patch.setattr(rulings, "_narrows", lambda *_: True)


def _let_an_outdated_replica_use_rules_on_postgres(patch: Patch) -> None:
    patch.setattr(postgres_batch, "jobs_with_valid_rules", lambda _: lambda _: ())
    # What is compiled with the bug must not be kept.
    patch.setattr(postgres, "_compile", postgres._compile.__wrapped__)


BUGS: dict[str, Callable[[Patch], None]] = {
    "rules not guarded": _let_an_outdated_replica_use_rules,
    "rule set not guarded": _guard_without(2, None),
    "author of a rule not guarded": _guard_without(4, None),
    "first rule decides": _let_the_first_rule_decide,
    "most specific rule decides": _let_the_most_specific_rule_decide,
    "rule of an excluded author": _answer_of(_exclude_no_one),
    "rule by a right that was given away": _answer_of(_forget_delegations),
    "rule passes over a claim": _answer_of(_forget_claims),
    "rule fills a quorum": _answer_of(_let_rules_fill_one_place),
    "one use more": _allow_one_use_more,
    "uses not counted": _count_no_uses,
    "uses of lost writes counted": _count_uses_of_lost_writes,
    "an error is no match": _take_an_error_for_no_match,
    "rule widens the audience": _route_wider,
}
ON_POSTGRES: dict[str, Callable[[Patch], None]] = {
    "rules not guarded on PostgreSQL": _let_an_outdated_replica_use_rules_on_postgres,
}
