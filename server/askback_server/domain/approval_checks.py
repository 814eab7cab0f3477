"""Validation of the approval of a prompt, and of its policy of delegation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from askback_server.domain.approvals import Approval
from askback_server.domain.content import PromptContent
from askback_server.domain.decisions import AUTHORISING, Decision
from askback_server.domain.delegations import DelegationPolicy, DelegationScope

if TYPE_CHECKING:
    from askback_server.domain.checks import Checker

ALONE = frozenset({Decision.RESPOND, Decision.DISMISS})
"""Decisions of one person, which are not offered where several people are needed."""


def check_approval(check: Checker, approval: Approval) -> Approval:
    """Check the numbers and groups. Returns the approval with its defaults filled in."""
    maximum = check.limits.approvers
    if len(approval.per_group) > check.limits.audience:
        check.bad("approval.per_group", f"must have {check.limits.audience} entries at most")
        return approval
    for i, place in enumerate(approval.per_group):
        at = f"approval.per_group[{i}]"
        check.text(f"{at}.group", place.group, check.limits.key_chars, required=True)
        check.number(f"{at}.required", place.required, 1, maximum)
        if any(place.group == other.group for other in approval.per_group[:i]):
            check.bad(f"{at}.group", "is named before: give each group one entry")
    check.number("approval.required", approval.required, 0, maximum)
    check.number("approval.reject_at", approval.reject_at, 0, maximum)
    check.number("approval.rules_may_fill", approval.rules_may_fill, 0, maximum)
    if approval.least > maximum:
        check.bad("approval.per_group", f"needs {approval.least} people; at most {maximum} are allowed")
    if 0 < approval.required < approval.least:
        what = "a person may fill a place in several groups" if approval.shared else "the groups need as many"
        check.bad("approval.required", f"must be at least {approval.least}, or 0: {what}")
    return replace(approval, required=approval.required or approval.least, reject_at=approval.reject_at or 1)


def check_decisions(check: Checker, content: PromptContent, approval: Approval) -> None:
    """Check that there is something to approve, by people only and by as many as are needed."""
    offered = {option.decision for option in content.decisions}
    if not offered & AUTHORISING:
        check.bad("decisions", "must have ACCEPT or EDIT with an approval: people have nothing to approve")
    for i, option in enumerate(content.decisions):
        if approval.required > 1 and option.decision in ALONE:
            check.bad(
                f"decisions[{i}].decision", f"must not be {option.decision} where several people are needed"
            )
    default = content.default_answer
    if default is not None and default.decision in AUTHORISING:
        check.bad("default_answer.decision", f"must not be {default.decision} with an approval")


def check_delegation(check: Checker, policy: DelegationPolicy) -> None:
    """Check that people and groups are named with LISTED, and only then."""
    names = policy.users | policy.groups
    if policy.scope is DelegationScope.LISTED and not names:
        check.bad("delegation.users", "must name people or groups with LISTED")
    elif policy.scope is not DelegationScope.LISTED and names:
        check.bad("delegation.scope", "must be LISTED where people or groups are named")
    if len(names) > check.limits.audience:
        check.bad("delegation.users", f"names {len(names)}; at most {check.limits.audience} are allowed")
        return
    for name in sorted(names):
        check.text("delegation.users", name, check.limits.key_chars, required=True)
