"""Planted bugs of absences and of the delegations that follow from them."""

from __future__ import annotations

from typing import Any

from askback_server.domain.delegations import Delegations
from askback_server.domain.prompts import Prompt
from askback_server.engine.known_absences import KnownAbsences
from tests.simulate.bugs.planted import Bug, Patch


def _review_without_reading(patch: Patch) -> None:
    async def rest(_: KnownAbsences) -> None:
        pass

    patch.setattr(KnownAbsences, "keep_up", rest)


def _honour_absences_that_are_over(patch: Patch) -> None:
    patch.setattr(Delegations, "next_end", None)
    patch.setattr(Delegations, "end_of", lambda *_: None)


def _decide_without_the_end(patch: Patch) -> None:
    patch.setattr(Delegations, "end_of", lambda *_: None)


def _end_only_what_was_returned(patch: Patch) -> None:
    def end_only(self: Delegations, numbers: Any) -> Delegations:
        left = tuple(each for each in self.active if each.number not in set(numbers))
        return Delegations(left, self.last, self.skipped)

    patch.setattr(Delegations, "end", end_only)


def _let_excluded_people_stand_in(patch: Patch) -> None:
    patch.setattr(Prompt, "excludes", lambda *_: False)


_OVER = "by a right that was over"
_NOT_FOLLOWED = "does not follow an absence"
ABSENCES: dict[str, Bug] = {
    "absences read only at the start": Bug(_review_without_reading, _NOT_FOLLOWED),
    "an absence honoured after its end": Bug(_honour_absences_that_are_over, _OVER),
    "the end of an absence not guarded": Bug(_decide_without_the_end, _OVER),
    "a substitute's right kept after a return": Bug(_end_only_what_was_returned, "that has ended"),
    "excluded people answer": Bug(_let_excluded_people_stand_in, "one of them is excluded"),
}
