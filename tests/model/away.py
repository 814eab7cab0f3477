"""Absences that people set while jobs ask: drawn for the reference model, and made at a replica."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from askback_server.domain.absence_rules import AbsenceNotFound, AbsenceSetting
from askback_server.domain.errors import InvalidField
from tests.model import rights
from tests.model.absences import Absence, Refused
from tests.model.draws import PEOPLE
from tests.model.driver import Driver
from tests.model.reference import Reference
from tests.model.rig import Replica
from tests.model.rule_changes import Turned
from tests.model.translator import PEOPLE as PRINCIPALS


class Said(NamedTuple):
    """A person says that it will be away. `n`: the absence that it changes."""

    who: str
    begin: float | None
    end: float
    sub: str
    n: str = ""


class Back(NamedTuple):
    """A person ends an absence."""

    n: str


def draw_absence(rng: Random, model: Reference) -> Said | Back:
    still = [a for a in model.away.values() if a.end > model.now]
    named = {
        who
        for j in model.jobs.values()
        for p in j["prompts"].values()
        if p["state"] == "PENDING"
        for who in rights.reach(p)
    }
    what = rng.choice(["say", "say", "say", "say", "change", "end"])
    if still and what == "end":
        return Back(rng.choice(still).n)
    begin = rng.choice([None, None, None, model.now + 2.0, model.now + 5.0, model.now - 1.0])
    end = (begin or model.now) + rng.choice([4.0, 5.0, 10.0, 40.0, 700.0, -3.0])
    sub = rng.choice(["", *PEOPLE, *PEOPLE])
    if still and what == "change":
        a = rng.choice(still)
        return Said(
            a.who, begin, rng.choice([end, a.end]), rng.choice([a.sub, sub]), rng.choice([a.n, a.n, ""])
        )
    at_home = sorted(named - {a.who for a in still})
    return Said(rng.choice([*at_home * 3, *PEOPLE]), begin, end, sub)


class Away(Driver):
    """The steps of the state machine in which people go away and come back."""

    async def begin_with_absences(self) -> None:
        self.has_absences = self.model.has_absences = True
        for name in PEOPLE:
            if name not in self.model.book.authors:
                await self.change_rule(Turned(name, True, rights.GROUPS.get(name, rights.NO_GROUPS)))
        for place in (0, 1):
            await self.load_rules(place)

    async def say(self, place: int, change: Said | Back) -> None:
        """A person sets or ends an absence at a replica, which knows of it at once."""
        replica = self.rig.replicas[place]
        reply = await self._set(replica, change)
        self.trace.append(f"{self.model.now:g} s: at {place} {change}: {reply}")
        try:
            if isinstance(change, Back):
                ours: str | Absence = self.model.end_away(place, change.n)
            else:
                authors = self.model.book.authors
                if change.sub and change.sub != change.who and not authors[change.sub].active:
                    raise Refused("InvalidField")
                ours = self.model.set_away(place, reply, *change)
        except Refused as no:
            ours = str(no)
        assert (ours.n if isinstance(ours, Absence) else ours) == reply

    async def _set(self, replica: Replica, change: Said | Back) -> str:
        """The id of the absence, or the name of the error."""
        keeper, at = replica.absences, self.rig.true.at
        if isinstance(change, Back):
            who = PRINCIPALS[self.model.away[change.n].who]
            return (await keeper.delete_absence(who, "default", change.n)).absence_id
        setting = AbsenceSetting(
            "default",
            change.who,
            at(change.end),
            None if change.begin is None else at(change.begin),
            change.sub,
            absence_id=change.n,
        )
        try:
            return (await keeper.set_absence(PRINCIPALS[change.who], setting)).absence_id
        except (InvalidField, AbsenceNotFound) as error:
            return type(error).__name__

    async def change_absences(self, rng: Random) -> None:
        """People set and end absences. A replica that neither hears of it nor reviews prompts is outdated."""
        for _ in range(rng.choice([1, 1, 2])):
            await self.say(rng.choice([0, 1]), draw_absence(rng, self.model))
        for place in rng.choice([(), (0,), (1,)]):
            await self.rig.replicas[place].known_absences.load()
            self.model.listen(place)
            self.trace.append(f"{place} hears of absences")
        await self.review(rng.choice([(), (0,), (1,), (0, 1)]))

    async def review(self, places: tuple[int, ...]) -> None:
        """Replicas read absences, and review the prompts of people who have gone or come back."""
        for place in places:
            self.model.listen(place)
            people = self.model.take_reviews(place)
            jobs = [name for name, j in self.model.jobs.items() if self._concerns(j, people)]
            await self.rig.replicas[place].absences.update()
            self.trace.append(f"{self.model.now:g} s: {place} reviews {people}: {jobs}")
            await self.settle([("review", {"job": name, "at": place}) for name in jobs], [None] * len(jobs))

    def _concerns(self, j: dict[str, object], people: list[str]) -> bool:
        still = [p for p in j["prompts"].values() if p["state"] == "PENDING"]  # type: ignore[attr-defined]
        return any({*rights.reach(p), self.model._claimant(p)} & set(people) for p in still)
