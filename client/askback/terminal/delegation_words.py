"""Delegations in words: for whom a person answers, who may act for whom, and what has changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from askback._model.delegations import Delegation, DelegationPolicy
from askback._model.enums import DelegationCause, DelegationScope
from askback._model.identity import Identity
from askback._model.prompts import PromptInfo
from askback._text.spans import day_words


def parse_target(text: str) -> tuple[str, str]:
    """The person and the group, one of them empty, that `ben`, `user:ben` or `group:qa` names. Raises
    ValueError, with a message for the person."""
    what, colon, name = text.strip().partition(":")
    if not colon or what not in ("user", "group"):
        what, name = "user", text.strip()
    if not name:
        raise ValueError("say to whom: a name, or group:NAME")
    return (name, "") if what == "user" else ("", name)


def target_words(user: str, group: str) -> str:
    """The person or the group in words: `ben`, or `the group qa`."""
    return user or f"the group {group}"


def delegation_of(prompt: PromptInfo, person: Identity | None) -> Delegation | None:
    """The delegation by which this person may answer an open prompt; None: none, or it needs none."""
    if person is None or not prompt.is_open:
        return None
    return prompt.delegated_to(person.subject, person.groups)


def holder_of(prompt: PromptInfo, person: Identity | None) -> str:
    """The person in whose place this one answers; empty: in its own."""
    found = delegation_of(prompt, person)
    return found.holder if found is not None else ""


def reason_words(delegation: Delegation, at: datetime) -> str:
    """Why the prompt came to a person: `for ana, away until Fri 4 Dec`, or `for ana, who delegated it: please
    look`."""
    comment = f": {delegation.comment}" if delegation.comment else ""
    if delegation.cause is DelegationCause.ABSENCE:
        absent = "" if delegation.giver == delegation.holder else f"{delegation.giver} is "
        how = f"{absent}away until {day_words(delegation.until, at)}" if delegation.until else f"{absent}away"
    else:
        how = f"{'who' if delegation.giver == delegation.holder else delegation.giver} delegated it"
    return f"for {delegation.holder}, {how}{comment}"


def delegation_words(delegation: Delegation, at: datetime) -> str:
    """One delegation for everyone: `ana to ben: please look`, or `ana is away until Fri 4 Dec: ben`."""
    target = target_words(delegation.user, delegation.group)
    behalf = "" if delegation.giver == delegation.holder else f", for {delegation.holder}"
    comment = f": {delegation.comment}" if delegation.comment else ""
    if delegation.cause is DelegationCause.ABSENCE:
        until = f" until {day_words(delegation.until, at)}" if delegation.until else ""
        return f"{delegation.giver} is away{until}; {target} stands in{behalf}{comment}"
    both = "" if delegation.transferred else f"; {delegation.giver} may answer too"
    return f"{delegation.giver} to {target}{behalf}{both}{comment}"


def policy_words(policy: DelegationPolicy) -> str:
    """To whom a prompt may be delegated: `to user:ben, group:qa only`."""
    match policy.scope:
        case DelegationScope.NO_ONE:
            return "not allowed"
        case DelegationScope.AUDIENCE:
            return "to people who are asked, only"
        case DelegationScope.LISTED:
            return f"to {', '.join(policy.names)} only"
        case _:
            return ""


def delegation_facts(prompt: PromptInfo, person: Identity | None, at: datetime) -> Iterator[tuple[str, str]]:
    """Names and values for the head of a prompt."""
    if (mine := delegation_of(prompt, person)) is not None:
        yield "you answer", reason_words(mine, at)
    for each in prompt.delegations:
        if each != mine:
            yield "delegated", delegation_words(each, at)
    if prompt.delegation_policy is not None and (allowed := policy_words(prompt.delegation_policy)):
        yield "delegation", allowed


def changes_of_delegations(
    before: PromptInfo, now: PromptInfo, at: datetime, person: Identity | None = None
) -> str:
    """What others delegated, or what has ended, between two states of a prompt; empty if nothing."""
    own = person.subject if person is not None else ""
    old, new = before.delegations, now.delegations
    found = [
        delegation_words(each, at)
        if each.cause is DelegationCause.ABSENCE
        else f"delegated: {delegation_words(each, at)}"
        for each in new
        if each not in old and each.giver != own
    ]
    ended = [each for each in old if not any(_is_same(each, other) for other in new)]
    found += [f"the delegation of {each.giver} to {each.user or each.group} has ended" for each in ended]
    return ", ".join(found)


def _is_same(one: Delegation, other: Delegation) -> bool:
    """Whether both are the same delegation, although the end may have moved."""
    return (one.giver, one.user, one.group, one.cause) == (other.giver, other.user, other.group, other.cause)
