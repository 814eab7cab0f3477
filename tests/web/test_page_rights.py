"""The page and the service find the same right of a person to act on a prompt."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from askback_server.domain.content import Audience, PromptContent
from askback_server.domain.delegations import Delegation, DelegationCause, DelegationMode, Delegations
from askback_server.domain.evolve import evolve
from tests.support.aggregates import START, question
from tests.support.page_packages import bundle_program, run_program

CASES = 3000
PEOPLE = ["ana", "ben", "cy", "dev", "eve"]
GROUPS = ["law", "ops", "qa"]


def some(pick: random.Random, names: list[str], most: int) -> frozenset[str]:
    return frozenset(pick.sample(names, pick.randint(0, most)))


def delegated(pick: random.Random, content: PromptContent, groups: dict[str, frozenset[str]]) -> Delegations:
    """Delegations that people who have a right could have made, one after the other."""
    for _ in range(pick.randint(0, 12)):
        given = content.delegations or Delegations()
        giver = pick.choice(PEOPLE)
        right = content.right_of(giver, groups[giver])
        by_group = pick.random() < 0.3
        target = pick.choice(GROUPS if by_group else PEOPLE)
        if right is None or target in (giver, right.holder) or any(d.user == target for d in given.active):
            continue
        content = content.delegate(
            given.add(
                Delegation(
                    number=0,
                    holder=right.holder,
                    giver=giver,
                    user="" if by_group else target,
                    group=target if by_group else "",
                    mode=pick.choice(list(DelegationMode)),
                    cause=DelegationCause.PERSON,
                    at=START,
                    parent=right.delegation.number if right.delegation is not None else 0,
                )
            )
        )
    return content.delegations or Delegations()


def as_json(content: PromptContent, delegations: Delegations) -> dict[str, Any]:
    """What of a prompt the page reads, as the gateway sends it: what is empty is left out."""
    given = [
        {"holder": d.holder, "giver": d.giver, "transferred": d.mode is DelegationMode.TRANSFER}
        | ({"user": d.user} if d.user else {"group": d.group})
        for d in delegations.active
    ]
    audience = {"users": sorted(content.audience.users), "groups": sorted(content.audience.groups)}
    named = {"audience": {name: names for name, names in audience.items() if names}}
    return {"content": named, **({"delegations": given} if given else {})}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that finds rights as the page does."""
    return bundle_program("rights.ts", tmp_path_factory.mktemp("rights"))


def test_the_same_people_may_act_for_the_same_holders(program: Path) -> None:
    pick = random.Random(16)
    cases, expected, kinds = [], [], set()
    for _ in range(CASES):
        groups = {name: some(pick, GROUPS, 2) for name in PEOPLE}
        content = evolve(question(), audience=Audience(some(pick, PEOPLE, 2), some(pick, GROUPS, 1)))
        delegations = delegated(pick, content, groups)
        content = content.delegate(delegations)
        person = pick.choice(PEOPLE)
        now = some(pick, GROUPS, 2)  # Memberships may have changed since.
        right = content.right_of(person, now)
        cases.append([as_json(content, delegations), {"subject": person, "groups": sorted(now)}])
        expected.append([right.holder if right is not None else None, person in content.reach.users])
        kinds.add((right is None, right is not None and right.delegation is not None))
    assert run_program(program, cases) == expected
    assert len(kinds) == 3
