"""The words of delegations: for whom a person answers, who acts for whom, and what has changed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from askback import Authentication, Delegation, DelegationPolicy, DelegationScope, Identity, PromptInfo
from askback._model.times import timestamp
from askback._text.spans import day_words
from askback.terminal.delegation_words import (
    changes_of_delegations,
    delegation_words,
    parse_target,
    policy_words,
    reason_words,
)
from askback.v1 import prompt_pb2 as pb
from tests.support.zones import CET, zone

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
UNTIL = datetime(2026, 12, 3, 23, tzinfo=UTC)


def prompt(*given: pb.Delegation) -> PromptInfo:
    return PromptInfo(pb.Prompt(state=pb.PROMPT_STATE_PENDING, delegations=given))


def delegation(giver: str, user: str = "", holder: str = "ana", **fields: object) -> pb.Delegation:
    found = pb.Delegation(holder=holder, giver=giver, user=user, cause=pb.DELEGATION_CAUSE_PERSON)
    for name, value in fields.items():
        setattr(found, name, value)
    return found


def absence(user: str, giver: str = "ana") -> pb.Delegation:
    found = delegation(giver, user)
    found.cause = pb.DELEGATION_CAUSE_ABSENCE
    found.end_time.CopyFrom(timestamp(UNTIL))
    return found


@pytest.mark.parametrize(
    ("message", "why", "for_everyone"),
    [
        (
            delegation("ana", "ben", transferred=True, comment="look"),
            "for ana, who delegated it: look",
            "ana to ben: look",
        ),
        (
            delegation("ben", group="ops"),
            "for ana, ben delegated it",
            "ben to the group ops, for ana; ben may answer too",
        ),
        (absence("ben"), "for ana, away until Fri 4 Dec", "ana is away until Fri 4 Dec; ben stands in"),
        (
            absence("cat", giver="ben"),
            "for ana, ben is away until Fri 4 Dec",
            "ben is away until Fri 4 Dec; cat stands in, for ana",
        ),
    ],
)
def test_a_delegation_says_for_whom_and_why(message: pb.Delegation, why: str, for_everyone: str) -> None:
    with zone(CET):
        [found] = prompt(message).delegations
        assert reason_words(found, NOW) == why
        assert delegation_words(found, NOW) == for_everyone


def test_days_are_local_and_have_a_time_unless_they_begin() -> None:
    with zone(CET):
        assert day_words(UNTIL, NOW) == "Fri 4 Dec"
        assert day_words(NOW.replace(year=2027), NOW) == "Tue 30 Nov 2027 13:00 CET"


def person(name: str) -> Identity:
    return Identity(name, ("default",), False, ("console",), (), False, Authentication.TOKEN, None, None)


def first_of(message: pb.Delegation) -> Delegation:
    return prompt(message).delegations[0]


def test_changes_are_what_was_added_and_what_has_ended() -> None:
    to_ben, moved = delegation("ana", "ben"), absence("cat")
    before = prompt(to_ben, moved)
    later = absence("cat")
    later.end_time.seconds += 3600
    added = delegation("ana", group="ops", transferred=True)
    assert changes_of_delegations(before, prompt(moved), NOW) == "the delegation of ana to ben has ended"
    more = prompt(to_ben, moved, added)
    assert changes_of_delegations(before, more, NOW) == "delegated: ana to the group ops"
    assert changes_of_delegations(before, more, NOW, person("ana")) == ""  # it has its own line
    assert changes_of_delegations(prompt(), prompt(moved), NOW) == delegation_words(first_of(moved), NOW)
    assert "has ended" not in changes_of_delegations(before, prompt(to_ben, later), NOW)
    assert changes_of_delegations(before, before, NOW) == ""


def test_a_target_is_a_person_unless_it_says_group() -> None:
    assert parse_target(" ben ") == parse_target("user:ben") == ("ben", "")
    assert parse_target("group:ops") == ("", "ops")
    assert parse_target("https://id/7") == ("https://id/7", "")
    for wrong in ("", "group:"):
        with pytest.raises(ValueError, match="say to whom"):
            parse_target(wrong)


def test_a_policy_names_those_who_may_get_it() -> None:
    assert policy_words(DelegationPolicy("user:ben", "group:ops")) == "to user:ben, group:ops only"
    assert policy_words(DelegationPolicy(scope=DelegationScope.NO_ONE)) == "not allowed"
    assert policy_words(DelegationPolicy()) == ""
