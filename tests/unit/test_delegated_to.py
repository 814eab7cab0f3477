"""The client says for whom a person would answer, as the rules of the server decide it."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from askback import PromptInfo
from askback.v1 import prompt_pb2 as pb
from askback_server.domain.content import Audience, PromptContent
from askback_server.domain.delegations import Delegation, DelegationCause, DelegationMode, Delegations, Right
from askback_server.transport.convert.votes import _put_delegations

AT = datetime(2026, 12, 1, tzinfo=UTC)
PEOPLE = {
    "ana": frozenset({"law"}),
    "ben": frozenset({"law", "ops"}),
    "cat": frozenset({"ops"}),
    "dan": frozenset(),
    "eve": frozenset[str](),
}
AUDIENCES = [Audience(), Audience(users=frozenset({"ana", "dan"})), Audience(groups=frozenset({"law"}))]
STEPS = 12
ENDING = 0.2


def delegate(draw: random.Random, content: PromptContent) -> PromptContent:
    """One person with a right gives it to another one, or to a group, as the rules allow it."""
    giver = draw.choice(sorted(PEOPLE))
    right = content.right_of(giver, PEOPLE[giver])
    given = content.delegations or Delegations()
    user = draw.choice([*sorted(PEOPLE), ""])
    if (
        right is None
        or user in (giver, right.holder)
        or any(each.user == user != "" for each in given.active)
    ):
        return content
    added = Delegation(
        number=0,
        holder=right.holder,
        giver=giver,
        user=user,
        group="" if user else draw.choice(["law", "ops"]),
        mode=draw.choice(list(DelegationMode)),
        cause=DelegationCause.PERSON,
        at=AT,
        parent=right.delegation.number if right.delegation else 0,
        entry=right.entry,
    )
    return content.delegate(given.add(added))


def end_one(draw: random.Random, content: PromptContent) -> PromptContent:
    """A delegation is given back."""
    given = content.delegations
    if given is None or not given.active:
        return content
    return content.delegate(given.end([draw.choice(given.active).number]))


def shown(content: PromptContent) -> PromptInfo:
    """The prompt as a client gets it, as far as it matters here."""
    message = pb.Prompt()
    message.content.audience.users.extend(content.audience.users)
    message.content.audience.groups.extend(content.audience.groups)
    if content.delegations is not None:
        _put_delegations(message, content.delegations)
    return PromptInfo(message)


def words(right: Right | None) -> tuple[str, str, str] | None:
    given = right.delegation if right is not None else None
    return None if given is None else (given.holder, given.giver, given.user or given.group)


def test_the_client_finds_the_delegation_by_which_the_server_lets_a_person_act() -> None:
    draw, found = random.Random(16), 0
    for _ in range(300):
        content = PromptContent(kind="confirm", title="Go?", audience=draw.choice(AUDIENCES))
        for _ in range(STEPS):
            content = end_one(draw, content) if draw.random() < ENDING else delegate(draw, content)
            prompt = shown(content)
            for name, groups in PEOPLE.items():
                expected, told = words(content.right_of(name, groups)), prompt.delegated_to(name, groups)
                assert expected == (told and (told.holder, told.giver, told.user or told.group))
                found += told is not None
    assert found > 500
