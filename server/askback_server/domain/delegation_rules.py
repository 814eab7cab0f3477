"""Rules of delegations that people make and end."""

from __future__ import annotations

from typing import NoReturn

from askback_server.domain.aggregate import Aggregate, Change, Facts, RuleResult
from askback_server.domain.checks import Checker
from askback_server.domain.content import Exclusion, PromptContent
from askback_server.domain.delegation_documents import delegation_to_doc
from askback_server.domain.delegations import (
    MAX_CHAIN,
    MAX_DELEGATIONS,
    Delegation,
    DelegationCause,
    DelegationMode,
    Delegations,
    DelegationScope,
    Right,
)
from askback_server.domain.due import refuse_closed, route_around_absences, run_overdue
from askback_server.domain.electorate import UNKNOWN, shortages
from askback_server.domain.ended_delegations import allows, end_delegations
from askback_server.domain.errors import FailedPrecondition, PermissionDenied
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.exclusions import Excluded
from askback_server.domain.json_text import JsonObject
from askback_server.domain.presence import mark_presence
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt
from askback_server.domain.routing_commands import DelegatePrompt, ReturnPrompt
from askback_server.domain.transitions import PromptTrigger, next_prompt_state
from askback_server.domain.visible_prompts import find_for_person, not_found, shown_to


class DelegationRefused(FailedPrecondition):
    """The prompt cannot be delegated to this person or group, or not by the caller."""

    reason = "DELEGATION_REFUSED"

    def __init__(self, prompt_id: str, because: str, message: str) -> None:
        super().__init__(message, prompt_id=prompt_id, because=because)


def delegate_prompt(aggregate: Aggregate, command: DelegatePrompt, facts: Facts) -> RuleResult[Prompt]:
    """Give the caller's right to another person or a group. Repeating it changes nothing.

    Raises PromptNotFound, PromptClosed, InvalidField, Excluded, DelegationRefused, PermissionDenied.
    """
    caller = command.principal
    known = aggregate.find(command.ref)
    if known is not None and _is_done(known, command) and known.is_open:
        caller.require(Role.CONSOLE)  # the caller may have lost sight of it by the delegation
        return RuleResult(shown_to(known, caller))
    find_for_person(aggregate, command)
    _check(command, facts)
    change = Change(aggregate, facts, caller.subject)
    prompt = _current(change, command)
    if not prompt.is_open:
        return refuse_closed(change, prompt)
    if prompt.excludes(caller):
        raise Excluded(prompt.prompt_id)
    right = prompt.content.right_of(caller.subject, caller.groups)
    if right is None:
        if change.events and not prompt.is_for(caller):
            return RuleResult(not_found(command), change)
        message = "you see this prompt as an admin and have no right to give; ReroutePrompt is for admins"
        raise PermissionDenied(message, needs="audience")
    given = prompt.content.delegations or Delegations()
    _check_giver(prompt, caller, right)
    _check_target(change, prompt, command, right)
    if len(given.active) >= MAX_DELEGATIONS:
        message = f"this prompt has {MAX_DELEGATIONS} delegations already"
        raise DelegationRefused(prompt.prompt_id, "LIMIT", message)
    delegation = Delegation(
        number=0,
        holder=right.holder,
        giver=caller.subject,
        user=command.user,
        group=command.group,
        mode=command.mode,
        cause=DelegationCause.PERSON,
        at=facts.now,
        comment=command.comment,
        parent=right.delegation.number if right.delegation is not None else 0,
        entry=right.entry,
    )
    after = given.add(delegation)
    content = prompt.content.delegate(after)
    _check_reach(change, prompt, content)
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.DELEGATE)
    change.require(not_after=prompt.expires_at)
    data = {"round": prompt.round, "key": prompt.key, **delegation_to_doc(after.active[-1])}
    change.record(EventType.PROMPT_DELEGATED, prompt.prompt_id, data)
    prompt = evolve(prompt, content=content)
    if prompt.claimed_by == caller.subject and command.mode is DelegationMode.TRANSFER:
        prompt = evolve(prompt, claimed_by="", claimed_until=None)
    prompt = _settle(change, prompt)
    left = prompt.content.delegations
    if left is None or all(each.number != after.last for each in left.active):
        message = f"{right.holder} is not away any more, so you have no right to give: answer, or release it"
        raise DelegationRefused(prompt.prompt_id, "ABSENT", message)
    return RuleResult(prompt, change)


def return_prompt(aggregate: Aggregate, command: ReturnPrompt, facts: Facts) -> RuleResult[Prompt]:
    """End a delegation: the right returns to its giver. Where there is none nothing changes.

    Without a person or group it is the delegation to the caller; with one it is that which the caller has
    made, and an admin may name any. Votes and claims by it end. Raises PromptNotFound, PromptClosed,
    InvalidField, and DelegationRefused for a substitute, who would be one again at once."""
    caller = command.principal
    known = aggregate.find(command.ref)
    if known is None or not _has_given(known, caller):
        known = find_for_person(aggregate, command)
    _check(command, facts)
    change = Change(aggregate, facts, caller.subject)
    prompt = _current(change, command)
    if not prompt.is_open:
        return refuse_closed(change, prompt)
    given = prompt.content.delegations or Delegations()
    if command.user or command.group:
        giver = "" if caller.is_admin else caller.subject
        ended = given.find(command.user, command.group, giver)
    else:
        ended = given.find(caller.subject, "")
    if ended is not None and ended.cause is DelegationCause.ABSENCE:
        message = f"{ended.user} stands in for {ended.giver}, who is away: change or end the absence instead"
        raise DelegationRefused(prompt.prompt_id, "ABSENT", message)
    if ended is None:
        return RuleResult(shown_to(prompt, caller), change if change.events else None)
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.DELEGATE)
    change.require(not_after=prompt.expires_at)
    data: JsonObject = {"round": prompt.round, "key": prompt.key, "why": "RETURNED"}
    if command.comment:
        data["comment"] = command.comment
    prompt = end_delegations(prompt, [ended.number], data)
    data["numbers"] = data.pop("delegations")
    change.record(EventType.DELEGATION_ENDED, prompt.prompt_id, data)
    prompt = _settle(change, prompt)
    return RuleResult(prompt if known.is_visible_to(caller) else shown_to(prompt, caller), change)


def _check(command: DelegatePrompt | ReturnPrompt, facts: Facts) -> None:
    check = Checker(facts.limits)
    check.key("user", command.user, required=False)
    check.key("group", command.group, required=False)
    if isinstance(command, DelegatePrompt) and bool(command.user) is bool(command.group):
        check.bad("user", "is required: name a person, or with `group` a group, and not both")
    elif command.user and command.group:
        check.bad("group", "must be empty with a person")
    check.text("comment", command.comment, facts.limits.reason_chars)
    check.done()


def _current(change: Change, command: DelegatePrompt | ReturnPrompt) -> Prompt:
    run_overdue(change)
    found = change.aggregate.find(command.ref)
    assert found is not None
    return change.prompt(found.prompt_id)


def _settle(change: Change, prompt: Prompt) -> Prompt:
    prompt = change.put(mark_presence(change, prompt))
    return route_around_absences(change, prompt)


def _is_done(prompt: Prompt, command: DelegatePrompt) -> bool:
    given = prompt.content.delegations
    if given is None or not command.principal.may_use(prompt.namespace):
        return False
    known = given.find(command.user, command.group, command.principal.subject)
    return known is not None and known.mode is command.mode and known.cause is DelegationCause.PERSON


def _has_given(prompt: Prompt, caller: Principal) -> bool:
    given = prompt.content.delegations
    if given is None or not caller.may_use(prompt.namespace) or not caller.has(Role.CONSOLE):
        return False
    return any(each.giver == caller.subject for each in given.active)


def _check_giver(prompt: Prompt, caller: Principal, right: Right) -> None:
    """Raise DelegationRefused if the right is used: the vote would count, and another one with it."""
    vote = prompt.votes.of_slot(right.holder) if prompt.votes is not None else None
    if vote is None and prompt.votes is not None:
        vote = prompt.votes.of(caller.subject)
    if vote is not None:
        message = f"{vote.user_id} has voted by this right; the vote must be withdrawn first"
        raise DelegationRefused(prompt.prompt_id, "VOTED", message)


def _check_target(change: Change, prompt: Prompt, command: DelegatePrompt, right: Right) -> None:
    """Raise DelegationRefused unless the target may get the right."""
    user, group, prompt_id = command.user, command.group, prompt.prompt_id
    content, given = prompt.content, prompt.content.delegations or Delegations()

    def refuse(because: str, message: str) -> NoReturn:
        raise DelegationRefused(prompt_id, because, message)

    chain = given.chain(right.delegation.number) if right.delegation is not None else []
    people = {right.holder, command.principal.subject, *(d.giver for d in chain), *(d.user for d in chain)}
    groups = {each.group for each in chain if each.group}
    if (user and user in people) or (group and group in groups):
        refuse("CHAIN", f"{user or group} has had this right already; return it instead")
    if len(chain) >= MAX_CHAIN:
        refuse("CHAIN", f"the right has been delegated {MAX_CHAIN} times; return it, or answer")
    if group and command.mode is DelegationMode.TRANSFER and group in command.principal.groups:
        refuse("MEMBER", f"you are a member of {group}; transfer it to a person, or add the group")
    exclusion = content.exclusion or Exclusion()
    electorate = change.facts.electorate
    known = electorate.people.get(prompt.namespace, {})
    if (
        user in exclusion.users
        or group in exclusion.groups
        or known.get(user, frozenset()) & exclusion.groups
    ):
        refuse("EXCLUDED", f"the prompt excludes {user or group} from answering")
    if user and prompt.votes is not None and prompt.votes.of(user) is not None:
        refuse("VOTED", f"{user} has voted already, and a person has one vote")
    if user and any(each.user == user for each in given.active):
        refuse("DELEGATE", f"{user} acts for another person already")
    if group and content.approval is not None and any(each.group == group for each in given.active):
        refuse("DELEGATE", f"the members of {group} act for another person already")
    if user and (absence := change.facts.absences.find(prompt.namespace, user, change.facts.now)) is not None:
        instead = f"; the substitute is {absence.substitute}" if absence.substitute else ""
        refuse("ABSENT", f"{user} is away until {absence.until_at:%Y-%m-%d %H:%M} UTC{instead}")
    if refusal := _refusal_of_policy(content, user, group, known.get(user, frozenset())):
        refuse("POLICY", refusal)
    if electorate is UNKNOWN:
        return
    if user and user not in known and user not in _named(content):
        refuse("UNKNOWN", f"the directory has no active person {user!r}; an admin can add one by SetPerson")
    if group and not electorate.has_member(prompt.namespace, group, command.principal.subject):
        refuse("UNKNOWN", f"the directory knows no other active member of a group {group!r}")


def _named(content: PromptContent) -> frozenset[str]:
    """People whom the asker has named."""
    return content.audience.users.union(*(step.to.users for step in content.escalation))


def _refusal_of_policy(content: PromptContent, user: str, group: str, groups: frozenset[str]) -> str:
    """Why the prompt's policy does not allow a target; empty if it does. `groups` are those of the user."""
    policy = content.delegation_policy
    if policy is None or allows(content, user, group, groups):
        return ""
    if policy.scope is DelegationScope.NO_ONE:
        return "this prompt cannot be delegated"
    if policy.scope is DelegationScope.LISTED:
        names = ", ".join(sorted(policy.users | policy.groups))
        return f"this prompt can be delegated to these only: {names}"
    return (
        f"this prompt can be delegated within its audience only, and {user or group} is not known to be in it"
    )


def _check_reach(change: Change, prompt: Prompt, content: PromptContent) -> None:
    """Raise DelegationRefused if it is certain that afterwards too few people can decide."""
    if content.approval is None:
        return
    given = content.delegations or Delegations()
    away = (content.exclusion or Exclusion()).with_users(given.gone)
    reachable = evolve(content, audience=content.reach, exclusion=away)
    short = [s for s in shortages(prompt.namespace, reachable, change.facts.electorate) if s.certain]
    if short:
        message = f"then only {short[0].known} of the {short[0].required} people who are needed could approve"
        raise DelegationRefused(prompt.prompt_id, "SHORTAGE", message)
