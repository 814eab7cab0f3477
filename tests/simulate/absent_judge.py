"""Judges who acts on prompts of people who are away, and whether their substitutes are asked in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime

from askback_server.domain.absences import Absence
from askback_server.domain.delegations import MAX_CHAIN, Delegation, DelegationCause, Delegations
from askback_server.domain.prompts import AnswerStatus, Prompt
from askback_server.ports.storage import JobWrite
from tests.simulate.absences import SimulatedAbsences
from tests.simulate.database import Rows
from tests.simulate.people import People
from tests.simulate.virtual_time import START, LoopClock

WITHIN = 16.0
"""Virtual seconds within which open prompts follow an absence, whatever breaks: the lease of a review that a
crash has cut off, twice the pause between two reads, and statements that take long."""
LEARN_WITHIN = 8.0
"""Virtual seconds after which every replica knows of an absence. Before that a prompt may be asked without
it, and is found by the second review."""
REPEAT = 30.0
"""Virtual seconds before the second review."""
AT_ONCE = 1.0
"""Virtual seconds within which a prompt has substitutes that is asked later: they are in the same write."""
_DECIDES = {AnswerStatus.ACCEPTED, AnswerStatus.RECORDED}
Missing = tuple[str, str, str, datetime | None]
"""A prompt, a person who is away, its substitute, and the last change of the absence."""


class RightsJudge:
    """Judges each commit, and every half second the open prompts."""

    def __init__(
        self, rows: Rows, absences: SimulatedAbsences, people: People, report: Callable[[str], None]
    ) -> None:
        self._rows, self._absences, self._people, self._report = rows, absences, people, report
        self._clock = LoopClock()
        self._missing: dict[Missing, float] = {}
        """Who is not asked, since when."""
        self._left: dict[tuple[str, int], float] = {}
        """Delegations to substitutes whose absence is over, since when."""

    # --- commits ---

    def on_commit(self, write: JobWrite) -> None:
        """Judge the answers and delegations of a write that is committed now."""
        after = {**write.new_prompts, **{i: p for i, (p, _) in write.changed_prompts.items()}}
        for submission in write.submissions:
            if submission.status in _DECIDES:
                prompt = after[submission.prompt_id]
                before = self._rows.prompts.get(submission.prompt_id, prompt)
                self._judge_decision(
                    before, prompt, submission.answer.user_id, submission.answer.on_behalf_of
                )
        for prompt in after.values():
            self._judge_delegations(prompt)

    def _judge_decision(self, before: Prompt, after: Prompt, who: str, holder: str) -> None:
        exclusion = before.content.exclusion
        if exclusion is not None and {who, holder} & exclusion.users:
            self._report(f"{who} decides for {holder or 'itself'}, and one of them is excluded")
        if holder and not self._has_right_of(before, after, who, holder):
            self._report(f"{who} decides for {holder} by a right that was over")
        live = after.votes.live if after.votes is not None else ()
        slots = [vote.answer.on_behalf_of or vote.user_id for vote in live]
        if len(set(slots)) < len(slots):
            self._report(f"several votes in the place of one person: {slots}")

    def _has_right_of(self, before: Prompt, after: Prompt, who: str, holder: str) -> bool:
        """Whether delegations that hold now lead from the holder to a person."""
        now, groups = self._clock.now(), self._people[who].groups
        links = [*_active(before), *_active(after)]
        valid = [d for d in links if d.holder == holder and (d.until is None or now < d.until)]
        reached = {holder}
        for _ in range(MAX_CHAIN):
            reached |= {d.user for d in valid if d.giver in reached}
        return who in reached or any(d.group in groups and d.giver in reached for d in valid)

    def _judge_delegations(self, prompt: Prompt) -> None:
        numbers = {d.number for d in _active(prompt)}
        for each in _active(prompt):
            if each.parent and each.parent not in numbers:
                self._report("a right follows from a delegation that has ended")
            if each.cause is DelegationCause.ABSENCE and not self._absences.has_been(each.giver, each.user):
                self._report(f"{each.user} stands in for {each.giver} by no absence")

    # --- the open prompts ---

    async def watch(self, until: float) -> None:
        """Look at the open prompts every half second, until all that is to happen must have happened."""
        while (at := asyncio.get_running_loop().time()) < until:
            await asyncio.sleep(0.5)
            self._look(at)

    def is_behind(self) -> bool:
        """Whether an open prompt does not ask a substitute yet."""
        return any(next(self._find_missing(p), None) for p in self._rows.prompts.values() if p.is_open)

    def _look(self, at: float) -> None:
        still = [p for p in self._rows.prompts.values() if p.is_open]
        missing: dict[Missing, float] = {}
        left: dict[tuple[str, int], float] = {}
        for prompt in still:
            for absence in self._find_missing(prompt):
                key = prompt.prompt_id, absence.subject, absence.substitute, absence.updated_at
                missing[key] = self._missing.get(key, at)
                if at - missing[key] > self._bound(absence, missing[key]):
                    names = f"{absence.substitute} in the place of {absence.subject}"
                    self._report(f"a prompt does not follow an absence: it does not ask {names}")
                    missing[key] = at
            for each in self._find_left(prompt):
                number = prompt.prompt_id, each.number
                left[number] = self._left.get(number, at)
                if at - left[number] > (REPEAT + WITHIN if self._is_outdated(each) else WITHIN):
                    names = f"{each.user} in the place of {each.giver}"
                    self._report(f"a prompt does not follow an absence: it still asks {names}")
                    left[number] = at
        self._missing, self._left = missing, left

    def _bound(self, absence: Absence, since: float) -> float:
        """How long a substitute may not be asked that was first missing at a time."""
        changed = max(absence.from_at, absence.updated_at or absence.from_at)
        age = since - (changed - START).total_seconds()
        if age > LEARN_WITHIN:
            return AT_ONCE
        return WITHIN if age < 1.0 else REPEAT + WITHIN

    def _is_outdated(self, each: Delegation) -> bool:
        """Whether a delegation was made after the last change of the absence, by a replica that did not know
        it yet: the second review ends it."""
        changes = [a.updated_at for a in self._absences.stored.values() if a.subject == each.giver]
        return any(at is not None and at <= each.at for at in changes)

    def _absence_of(self, person: str) -> Absence | None:
        now = self._clock.now()
        return next((a for a in self._absences.stored.values() if a.subject == person and a.holds(now)), None)

    def _find_missing(self, prompt: Prompt) -> Iterator[Absence]:
        """Absences of people who are asked, whose substitutes may answer and are not asked."""
        content = prompt.content
        given = content.delegations or Delegations()
        for user in sorted(content.audience.users):
            if given.has_given(user) or content.excludes_author(user):
                continue
            person, seen = user, {user}
            while (absence := self._absence_of(person)) is not None:
                person = absence.substitute
                has_voted = prompt.votes is not None and prompt.votes.of(person) is not None
                if not person or person in seen or content.excludes_author(person) or has_voted:
                    break
                seen.add(person)
                if len(seen) > MAX_CHAIN or person in content.audience.users:
                    break
                if any(d.user == person and d.cause is DelegationCause.PERSON for d in given.active):
                    break
                has_right = content.right_of(person, self._people[person].groups) is not None
                if not has_right and person not in given.gone:
                    yield absence
                    break  # who stands in for that substitute follows from this one

    def _find_left(self, prompt: Prompt) -> Iterator[Delegation]:
        """Substitutes of people who are not away, or not replaced by them."""
        for each in _active(prompt):
            if each.cause is DelegationCause.ABSENCE and not prompt.claimant(self._clock.now()):
                absence = self._absence_of(each.giver)
                if absence is None or absence.substitute != each.user:
                    yield each


def _active(prompt: Prompt) -> tuple[Delegation, ...]:
    return (prompt.content.delegations or Delegations()).active
