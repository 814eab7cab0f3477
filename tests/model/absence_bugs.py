"""Planted bugs of absences, one per guarantee: the state machine must find each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from askback_server.domain import absence_rules, substitutes
from askback_server.domain.absences import Absence
from askback_server.domain.delegations import Delegations, Right
from askback_server.domain.substitutes import _Wanted
from askback_server.engine.absence_reviews import AbsenceReviews
from askback_server.engine.known_absences import KnownAbsences

Patch = pytest.MonkeyPatch


def _let_ended_absences_hold(patch: Patch) -> None:
    patch.setattr(
        Absence, "holds", lambda self, at: self.from_at <= at < self.until_at + timedelta(seconds=30)
    )


def _forget_ends(patch: Patch) -> None:
    patch.setattr(Delegations, "next_end", None)


def _forget_that_absences_were_ended(patch: Patch) -> None:
    learn = KnownAbsences.learn

    def learn_no_end(self: KnownAbsences, found: Any) -> None:
        learn(self, [each for each in found if each.until_at != each.updated_at])

    patch.setattr(KnownAbsences, "learn", learn_no_end)


def _refuse_only(*reasons: str) -> Callable[[Patch], None]:
    """A substitute is refused for these reasons only."""

    def plant(patch: Patch) -> None:
        refusal = _Wanted._refusal

        def refuse_less(self: _Wanted, *args: Any) -> str:
            why = refusal(self, *args)
            return why if why in reasons else ""

        patch.setattr(_Wanted, "_refusal", refuse_less)

    return plant


def _give_a_right_twice(patch: Patch) -> None:
    patch.setattr(_Wanted, "_has_right", lambda *_: False)


def _let_inactive_people_stand_in(patch: Patch) -> None:
    learn = KnownAbsences.learn

    def learn_as_active(self: KnownAbsences, found: Any) -> None:
        learn(self, [replace(each, inactive=frozenset()) for each in found])

    patch.setattr(KnownAbsences, "learn", learn_as_active)


def _keep_what_follows_from_an_end(patch: Patch) -> None:
    compare, wanted = substitutes._compare, list[Any]()

    def compare_once(*args: Any) -> Any:
        if wanted:
            return (*wanted.pop(), [])
        found = compare(*args)
        if found[2]:
            wanted.append(found[:2])
        return found

    patch.setattr(substitutes, "_compare", compare_once)


def _skip_who_has_voted_as_a_substitute(patch: Patch) -> None:
    refusal = _Wanted._refusal
    patch.setattr(
        _Wanted, "_refusal", lambda self, content, substitute, _: refusal(self, content, substitute, "")
    )


def _accept_circles(patch: Patch) -> None:
    patch.setattr(absence_rules, "cycle_of", lambda *_: [])


def _accept_overlaps(patch: Patch) -> None:
    patch.setattr(Absence, "overlaps", lambda *_: False)


def _review_nothing(patch: Patch) -> None:
    async def skip(*_: Any) -> set[str]:
        return set()

    patch.setattr(AbsenceReviews, "_review", skip)


def _extend_claims_after_the_end(patch: Patch) -> None:
    patch.setattr(Right, "until", None)


def _read_only_at_the_start(patch: Patch) -> None:
    load = KnownAbsences.load

    async def load_once(self: KnownAbsences) -> None:
        if self._read_at is None:
            await load(self)

    patch.setattr(KnownAbsences, "load", load_once)


def _end_votes_with_the_absence(patch: Patch) -> None:
    end = substitutes._end

    def end_with_votes(change: Any, prompt: Any, numbers: Any) -> Any:
        prompt = end(change, prompt, numbers)
        if prompt.votes is None:
            return prompt
        over = [vote.user_id for vote in prompt.votes.live if vote.delegation in numbers]
        return change.put(replace(prompt, votes=prompt.votes.end(over)))

    patch.setattr(substitutes, "_end", end_with_votes)


BUGS: dict[str, Callable[[Patch], None]] = {
    "an ended absence still routes": _let_ended_absences_hold,
    "the end of an absence is no time of the prompt": _forget_ends,
    "a deleted absence still routes": _forget_that_absences_were_ended,
    "an excluded person is a substitute": _refuse_only("SELF_REVIEW", "VOTED", "POLICY"),
    "a person with a vote is a substitute": _refuse_only("SELF_REVIEW", "EXCLUDED", "POLICY"),
    "a delegation and an absence give a right twice": _give_a_right_twice,
    "a right remains that followed from an absence": _keep_what_follows_from_an_end,
    "a substitute who has voted is skipped": _skip_who_has_voted_as_a_substitute,
    "an inactive person is a substitute": _let_inactive_people_stand_in,
    "substitutes in a circle": _accept_circles,
    "absences of a person overlap": _accept_overlaps,
    "open prompts are not reviewed": _review_nothing,
    "a claim extends an absence": _extend_claims_after_the_end,
    "absences read only at the start": _read_only_at_the_start,
    "votes end with the absence": _end_votes_with_the_absence,
}
