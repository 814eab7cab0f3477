"""Substitutes of people who are away: the delegations of a prompt that follow from absences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from askback_server.domain.absences import Absences
from askback_server.domain.aggregate import Change
from askback_server.domain.content import PromptContent
from askback_server.domain.delegations import (
    MAX_CHAIN,
    Delegation,
    DelegationCause,
    DelegationMode,
    Delegations,
)
from askback_server.domain.ended_delegations import allows, end_claim
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt
from askback_server.domain.put_delegations import put_delegation
from askback_server.domain.transitions import PromptTrigger, next_prompt_state

Key = tuple[str, str]
"""A person who is away, and its substitute."""


def follow_absences(change: Change, prompt: Prompt) -> Prompt:
    """Give the rights of people who are away to their substitutes, and end what is over.

    Only people who are named are replaced: of a group others are there. A person who is away keeps its right.
    A substitute with a claim keeps its right until the claim ends. No one stands in for a person who is
    inactive, and no person who is inactive stands in. The caller has put the prompt.
    """
    absences, content = change.facts.absences, prompt.content
    if content.delegations is None and not (absences and content.audience.users):
        return prompt
    actor, change.actor = change.actor, "system"
    prompt = _follow(change, prompt)
    change.actor = actor
    return prompt


def is_deserted(change: Change, prompt: Prompt) -> bool:
    """Whether all who may answer are known to be away, or inactive as the substitute of one of them."""
    absences, content = change.facts.absences, prompt.content
    reach = content.reach
    if not absences or reach.groups or not reach.users:
        return False
    able = {user for user in reach.users if not content.excludes_author(user)}
    now = change.facts.now
    found = {user: absences.find(prompt.namespace, user, now) for user in able}
    away = {user: absence for user, absence in found.items() if absence is not None}
    return bool(away) and able <= away.keys() | frozenset().union(*(each.inactive for each in away.values()))


def _follow(change: Change, prompt: Prompt) -> Prompt:
    wanted, refused, over = _compare(change, prompt)
    while over:
        prompt = _end(change, prompt, over)
        # What follows from them has ended too: it gives no right to a substitute any more.
        wanted, refused, over = _compare(change, prompt)
    given = prompt.content.delegations or Delegations()
    for each in _stand_ins(given):
        until = _until(change, prompt, wanted, refused, each)
        if until != each.until and (left := prompt.content.delegations) is not None:
            changed = replace(each, until=until)
            prompt = put_delegation(change, prompt, left.put(changed), changed)
    prompt = _add(change, prompt, wanted)
    for (absent, substitute), why in refused.items():
        if (absent, substitute) not in given.skipped:
            prompt = _skip(change, prompt, absent, substitute, why)
    return prompt


def _compare(change: Change, prompt: Prompt) -> tuple[dict[Key, Delegation], dict[Key, str], list[int]]:
    """The delegations that absences ask for, why other substitutes have none, and the numbers of those that
    are over."""
    wanted, refused = _Wanted(change, prompt).find()
    given = prompt.content.delegations or Delegations()
    over = [d.number for d in _stand_ins(given) if _until(change, prompt, wanted, refused, d) is None]
    return wanted, refused, over


def _stand_ins(given: Delegations) -> list[Delegation]:
    return [each for each in given.active if each.cause is DelegationCause.ABSENCE]


def _until(
    change: Change,
    prompt: Prompt,
    wanted: dict[Key, Delegation],
    refused: dict[Key, str],
    each: Delegation,
) -> datetime | None:
    """When the delegation to a substitute ends: with the absence, or with the claim that it is needed for.
    None: it is over."""
    key = each.giver, each.user
    if key in wanted:
        return wanted[key].until
    given = prompt.content.delegations
    if key in refused or given is None:
        return None
    claimant = prompt.claimant(change.facts.now)
    claimed = [d for d in _stand_ins(given) if d.user == claimant]
    is_needed = any(each in given.chain(d.number) for d in claimed)
    return prompt.claimed_until if is_needed else None


def _end(change: Change, prompt: Prompt, numbers: list[int]) -> Prompt:
    given = prompt.content.delegations
    assert given is not None
    after = given.end(numbers)
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.DELEGATE)
    data: dict[str, object] = {"round": prompt.round, "key": prompt.key, "why": "ABSENCE"}
    ended = given.ended(after)
    data["numbers"] = [each.number for each in ended]
    over = [each.until for each in ended if each.until is not None]
    change.require(not_before=max((at for at in over if at <= change.facts.now), default=None))
    change.record(EventType.DELEGATION_ENDED, prompt.prompt_id, data)
    return change.put(end_claim(evolve(prompt, content=prompt.content.delegate(after)), ended))


def _add(change: Change, prompt: Prompt, wanted: dict[Key, Delegation]) -> Prompt:
    """Add the substitutes that are missing, in the order of their chains."""
    numbers: dict[Key, int] = {}
    for key, each in wanted.items():
        given = prompt.content.delegations or Delegations()
        known = next((d for d in given.active if d.cause is each.cause and (d.giver, d.user) == key), None)
        if known is None:
            parent = numbers.get((each.holder, each.giver), each.parent)
            added = given.add(replace(each, parent=parent))
            known = added.active[-1]
            prompt = put_delegation(change, prompt, added, known)
        numbers[each.holder, each.user] = known.number
    return prompt


def _skip(change: Change, prompt: Prompt, absent: str, substitute: str, why: str) -> Prompt:
    given = prompt.content.delegations or Delegations()
    after = replace(given, skipped=(*given.skipped, (absent, substitute)))
    next_prompt_state(prompt.prompt_id, prompt.state, PromptTrigger.DELEGATE)
    data = {"round": prompt.round, "key": prompt.key, "giver": absent, "user": substitute, "why": why}
    change.record(EventType.SUBSTITUTE_SKIPPED, prompt.prompt_id, data)
    return change.put(evolve(prompt, content=prompt.content.delegate(after)))


class _Wanted:
    """Finds the delegations that the absences at a time ask for."""

    def __init__(self, change: Change, prompt: Prompt) -> None:
        self._absences: Absences = change.facts.absences
        self._now: datetime = change.facts.now
        self._prompt = prompt
        self._job: Job = change.job
        self._given = prompt.content.delegations or Delegations()
        self._found: dict[Key, Delegation] = {}
        self._refused: dict[Key, str] = {}

    def find(self) -> tuple[dict[Key, Delegation], dict[Key, str]]:
        """The delegations by giver and substitute, and why other substitutes have none."""
        for holder, person, parent, chain in self._rights():
            self._walk(holder, person, parent, chain)
        return self._found, self._refused

    def _rights(self) -> Iterator[tuple[str, str, Delegation | None, list[str]]]:
        """The rights of people who are named: the holder, who has it now, by which delegation, and the people
        through whose hands it has gone."""
        content = self._prompt.content
        for user in sorted(content.audience.users):
            if not self._given.has_given(user) and not content.excludes_author(user):
                yield user, user, None, [user]
        for each in self._given.active:
            if each.cause is DelegationCause.PERSON and each.user and each.user not in self._given.gone:
                chain = self._given.chain(each.number)
                people = [each.holder, *(d.giver for d in reversed(chain)), each.user]
                yield each.holder, each.user, each, people

    def _walk(self, holder: str, person: str, parent: Delegation | None, people: list[str]) -> None:
        content = self._prompt.content
        until: datetime | None = None
        depth = len(self._given.chain(parent.number)) if parent is not None else 0
        number, entry = (parent.number, parent.entry) if parent is not None else (0, None)
        while (absence := self._absences.find(self._prompt.namespace, person, self._now)) is not None:
            substitute = absence.substitute
            if not substitute:
                return
            if (person, substitute) in self._found:
                return  # by the first right of the person, which it acts by itself
            is_circle = substitute in people
            if not is_circle and self._has_right(content, substitute, person):
                return
            depth += 1
            why = "CYCLE" if is_circle else "CHAIN" if depth > MAX_CHAIN else ""
            why = why or ("INACTIVE" if absence.inactive else "")
            if why := why or self._refusal(content, substitute, holder):
                self._refused[person, substitute] = why
                return
            until = min(until or absence.until_at, absence.until_at)
            self._found[person, substitute] = Delegation(
                0, holder, person, substitute, "", DelegationMode.ADD, DelegationCause.ABSENCE,
                self._now, "", until, number, entry,
            )  # fmt: skip
            people = [*people, substitute]
            person = substitute

    def _has_right(self, content: PromptContent, substitute: str, absent: str) -> bool:
        """Whether the substitute may act anyway: as one who is asked by name, or for another person."""
        if substitute in content.audience.users:
            return True
        if any(key[1] == substitute and key[0] != absent for key in self._found):
            return True
        return any(d.user == substitute and d.cause is DelegationCause.PERSON for d in self._given.active)

    def _refusal(self, content: PromptContent, substitute: str, holder: str) -> str:
        exclusion, votes = content.exclusion, self._prompt.votes
        if exclusion is not None and exclusion.has(substitute):
            asked = {self._job.user_id, self._job.holder, *self._job.requesters}
            return "SELF_REVIEW" if exclusion.requester and substitute in asked else "EXCLUDED"
        vote = votes.of(substitute) if votes is not None else None
        if vote is not None and vote.slot != holder:  # a vote in its place was given by this right
            return "VOTED"
        return "" if allows(content, substitute, "") else "POLICY"
