"""Planted bugs of approvals and delegations."""

from __future__ import annotations

from dataclasses import replace

from askback_server.domain import voting_rules
from askback_server.domain.approvals import Approval
from askback_server.domain.delegations import Delegations
from askback_server.domain.prompts import Prompt
from askback_server.domain.votes import Vote
from tests.simulate.bugs.planted import Bug, Patch


def _count_one_vote_less(patch: Patch) -> None:
    missing = Approval.missing
    patch.setattr(Approval, "missing", lambda self, people: missing(replace(self, required=1), people))


def _let_excluded_people_answer(patch: Patch) -> None:
    patch.setattr(Prompt, "excludes", lambda *_: False)


def _exclude_only_the_author(patch: Patch) -> None:
    patch.setattr(voting_rules, "exclude_answerers", lambda *_: None)


def _keep_rights_that_were_given_away(patch: Patch) -> None:
    patch.setattr(Delegations, "gone", frozenset())
    patch.setattr(Delegations, "has_given", lambda *_: False)


def _count_each_delegate(patch: Patch) -> None:
    patch.setattr(voting_rules, "_check_slot", lambda *_: None)
    patch.setattr(Vote, "slot", property(lambda vote: vote.user_id))


VOTES: dict[str, Bug] = {
    "rights kept that were given away": Bug(_keep_rights_that_were_given_away, "gave its right away"),
    "each delegate counts": Bug(_count_each_delegate, "several votes in the place"),
    "resolved with too few votes": Bug(_count_one_vote_less, "is in disorder"),
    "excluded people answer": Bug(_let_excluded_people_answer, "is in disorder"),
    "exclusion of votes forgotten": Bug(_exclude_only_the_author, "had voted before"),
}
