"""Planted bugs of absences and of the delegations that follow from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from askback_server.domain import due
from askback_server.domain.aggregate import Change
from askback_server.domain.delegations import Delegations
from askback_server.domain.events import EventType
from askback_server.domain.prompts import Prompt
from askback_server.engine.absence_reviews import AbsenceReviews
from askback_server.engine.known_absences import KnownAbsences
from tests.simulate.bugs.planted import Bug, Patch


def _mark_reviews_before_they_are_done(patch: Patch) -> None:
    review = AbsenceReviews._review

    async def mark_first(self: AbsenceReviews, namespace: str, people: frozenset[str]) -> set[str]:
        known = [each for each in self._known.all if each.subject in people]
        await self._store.finish_reviews({each.absence_id: _past(self, each) for each in known})
        return await review(self, namespace, people)

    patch.setattr(AbsenceReviews, "_review", mark_first)


def _past(reviews: AbsenceReviews, absence: Any) -> datetime:
    now: datetime = reviews._clock.now()
    return now


def _review_without_reading(patch: Patch) -> None:
    async def rest(_: KnownAbsences) -> None:
        pass

    patch.setattr(KnownAbsences, "keep_up", rest)


def _forget_the_end(patch: Patch) -> None:
    patch.setattr(Delegations, "next_end", None)


def _decide_without_the_end(patch: Patch) -> None:
    patch.setattr(Delegations, "end_of", lambda *_: None)


def _end_only_what_was_returned(patch: Patch) -> None:
    def end_only(self: Delegations, numbers: Any) -> Delegations:
        left = tuple(each for each in self.active if each.number not in set(numbers))
        return Delegations(left, self.last, self.skipped)

    patch.setattr(Delegations, "end", end_only)


def _escalate_past_substitutes(patch: Patch) -> None:
    follow = due.follow_absences

    def follow_unless_escalated(change: Change, prompt: Prompt) -> Prompt:
        steps = {e.prompt_id for e in change.events if e.type is EventType.PROMPT_ESCALATED}
        return prompt if prompt.prompt_id in steps else follow(change, prompt)

    patch.setattr(due, "follow_absences", follow_unless_escalated)


def _let_excluded_people_stand_in(patch: Patch) -> None:
    patch.setattr(Prompt, "excludes", lambda *_: False)


_OVER = "by a right that was over"
_NOT_FOLLOWED = "does not follow an absence"
ABSENCES: dict[str, Bug] = {
    "a review is marked before it is done": Bug(_mark_reviews_before_they_are_done, _NOT_FOLLOWED),
    "absences read only at the start": Bug(_review_without_reading, _NOT_FOLLOWED),
    "an absence has no end": Bug(_forget_the_end, _NOT_FOLLOWED),
    "the end of an absence not guarded": Bug(_decide_without_the_end, _OVER),
    "a substitute's right kept after a return": Bug(_end_only_what_was_returned, "that has ended"),
    "an escalation passes over substitutes": Bug(_escalate_past_substitutes, _NOT_FOLLOWED),
    "excluded people answer": Bug(_let_excluded_people_stand_in, "one of them is excluded"),
}
