"""Planted bugs of proposed rules."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from askback_server.domain.stored_rules import StoredRule
from askback_server.engine import policy
from askback_server.engine.policy import Policy
from tests.simulate.bugs.planted import Bug, Patch
from tests.support.proposal_bugs import activate_after_the_deadline, ask_no_second_person, let_authors_approve


def _activate_the_proposal_that_waits_now(patch: Patch) -> None:
    approve = policy.approve

    def approve_any(rule: StoredRule, revision: int, *rest: Any) -> StoredRule:
        return approve(rule, rule.proposal.revision if rule.proposal else revision, *rest)

    patch.setattr(policy, "approve", approve_any)


def _activate_what_was_activated(patch: Patch) -> None:
    approve = policy.approve

    def approve_and_keep(rule: StoredRule, *args: Any) -> StoredRule:
        return replace(approve(rule, *args), proposal=rule.proposal)

    patch.setattr(policy, "approve", approve_and_keep)


def _settle_only_in_the_call(patch: Patch) -> None:
    async def rest(_: Policy) -> None:
        await asyncio.Event().wait()

    patch.setattr(Policy, "run", rest)


def _ask_only_in_the_call(patch: Patch) -> None:
    settle_one = Policy._settle_one

    async def settle_asked(self: Policy, rule: StoredRule, proposal: Any) -> bool:
        return bool(proposal.job_id) and await settle_one(self, rule, proposal)

    patch.setattr(Policy, "_settle_one", settle_asked)


_UNACCEPTED = "activated that no second person has accepted"
PROPOSALS: dict[str, Bug] = {
    "a proposed rule is on at once": Bug(ask_no_second_person, "did not wait for a second person"),
    "an author approves its rule": Bug(let_authors_approve, "approved by its author"),
    "a proposal that expired is activated": Bug(activate_after_the_deadline, _UNACCEPTED),
    "an overtaken approval activates the next": Bug(_activate_the_proposal_that_waits_now, _UNACCEPTED),
    "a proposal is activated twice": Bug(_activate_what_was_activated, "activated twice"),
    "decided proposals are not settled": Bug(_settle_only_in_the_call, "not settled"),
    "asked once only": Bug(_ask_only_in_the_call, "not settled"),
}
