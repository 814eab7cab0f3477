"""Planted bugs of proposed rules and of routes: the state machine must find each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from askback_server.domain import rule_answers, rulings
from askback_server.domain.stored_rules import StoredRule
from askback_server.engine import policy
from askback_server.engine.policy import Policy
from tests.support.proposal_bugs import activate_after_the_deadline, ask_no_second_person, let_authors_approve

Patch = pytest.MonkeyPatch


def _activate_what_was_rejected(patch: Patch) -> None:
    def approver(prompt: Any, _: str) -> str:
        answer = prompt.resolution.answer if prompt.resolution is not None else None
        return answer.user_id if answer is not None else ""

    patch.setattr(policy, "_approver", approver)


def _activate_twice(patch: Patch) -> None:
    approve = policy.approve

    def approve_and_keep(rule: StoredRule, *args: Any) -> StoredRule:
        return replace(approve(rule, *args), proposal=rule.proposal)

    patch.setattr(policy, "approve", approve_and_keep)


def _keep_questions_of_overtaken_proposals(patch: Patch) -> None:
    async def keep(*_: Any) -> None:
        pass

    patch.setattr(Policy, "_withdraw", keep)


def _keep_proposals_of_rules_that_are_off(patch: Patch) -> None:
    switch_off = policy.switch_off
    patch.setattr(
        policy, "switch_off", lambda rule, now: replace(switch_off(rule, now), proposal=rule.proposal)
    )


def _ignore_timeouts_of_routes(patch: Patch) -> None:
    route = rulings.route

    def route_without(content: Any, rules: Any) -> Any:
        routed, conflict = route(content, rules)
        return replace(routed, timeout=content.timeout), conflict

    patch.setattr(rule_answers, "route", route_without)


def _let_routes_extend_a_timeout(patch: Patch) -> None:
    route = rulings.route

    def route_longer(content: Any, rules: Any) -> Any:
        routed, conflict = route(content, rules)
        timeouts = [t for rule in rules if rule.spec.route and (t := rule.spec.route.timeout)]
        return replace(routed, timeout=max(timeouts, default=routed.timeout)), conflict

    patch.setattr(rule_answers, "route", route_longer)


BUGS: dict[str, Callable[[Patch], None]] = {
    "a proposed rule is on at once": ask_no_second_person,
    "an author approves its rule": let_authors_approve,
    "a proposal that expired is activated": activate_after_the_deadline,
    "a proposal that was rejected is activated": _activate_what_was_rejected,
    "a proposal is activated twice": _activate_twice,
    "an overtaken proposal is still asked about": _keep_questions_of_overtaken_proposals,
    "a rule that is off keeps its proposal": _keep_proposals_of_rules_that_are_off,
    "the timeout of a route is ignored": _ignore_timeouts_of_routes,
    "a route extends the timeout": _let_routes_extend_a_timeout,
}
