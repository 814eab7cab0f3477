"""Planted bugs of rules."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from askback_server.domain import rule_answers
from askback_server.domain.rules import RuleSet, RuleUse
from askback_server.engine.engine import Engine
from askback_server.engine.rules import Rules
from tests.simulate.bugs.planted import Bug, Patch


def _use_rules_without_a_guard(patch: Patch) -> None:
    from tests.simulate.rules import SimulatedRules

    patch.setattr(SimulatedRules, "hold", lambda *_: True)


def _guard_no_authors(patch: Patch) -> None:
    use = rule_answers._use

    def use_without_author(*args: Any) -> RuleUse:
        return replace(use(*args), author_version=None)

    patch.setattr(rule_answers, "_use", use_without_author)


def _read_rules_only_at_the_start(patch: Patch) -> None:
    async def rest(_: Rules) -> None:
        await asyncio.Event().wait()

    patch.setattr(Rules, "run", rest)


def _decide_again_by_the_same_rules(patch: Patch) -> None:
    retry_lost = Engine._retry_lost

    def retry_without_reading(self: Engine, *args: Any) -> Any:
        group = retry_lost(self, *args)
        if group is not None:
            group.stale_rules = False
        return group

    patch.setattr(Engine, "_retry_lost", retry_without_reading)


def _use_rules_that_are_used_up(patch: Patch) -> None:
    patch.setattr(RuleSet, "has_uses_left", lambda *_: True)


RULES: dict[str, Bug] = {
    "rules not guarded": Bug(_use_rules_without_a_guard, "a rule answers that"),
    "author not guarded": Bug(_guard_no_authors, "its author could not"),
    "rules read only at the start": Bug(
        _read_rules_only_at_the_start, "people are asked what a rule answers"
    ),
    "decided again by the same rules": Bug(_decide_again_by_the_same_rules, "decided again by rules"),
    "used up rules used": Bug(_use_rules_that_are_used_up, "decided again by rules"),
}
