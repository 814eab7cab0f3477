"""Absences of the reference model (docs/how-to/approvals.md, Cover for a holiday), independent of the server.

Each replica has heard of some absences, by their ids. A command on a prompt gives the rights of people who
are away to their substitutes, and ends what is over, by what its replica has heard.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Any

from tests.model import rights

REPEAT, FORGET, OVERLAP = 30.0, 90.0, 600.0
"""Seconds: a review is repeated after, an absence that is over is forgotten after, and a replica reads again
what changed so long before its last read."""

Prompt = dict[str, Any]
Pair = tuple[str, str]
"""A person who is away, and its substitute."""


class Refused(Exception):
    """The command is refused and changes nothing. The message is the name of the error class."""


@dataclass(frozen=True)
class Absence:
    """That `who` is away from `begin` until before `end`. `changed`: when this was said."""

    n: str
    """Its id, as the service has made it."""
    who: str
    begin: float
    end: float
    sub: str
    changed: float
    gone: bool = False
    """Whether a replica has heard that the person or the substitute is inactive."""

    def __deepcopy__(self, _: Any) -> Absence:
        return self

    def holds(self, at: float) -> bool:
        return self.begin <= at < self.end

    def review_due(self, now: float) -> float:
        """The last time for which prompts are to be reviewed."""
        times = [t for t in (self.begin, self.end) if t <= now] + [self.changed]
        return max(times + [t + REPEAT for t in times if t + REPEAT <= now])


class Absences:
    """What is stored, and what each replica has heard."""

    def __init__(self) -> None:
        self.now = 0.0
        self.place = 0
        """The replica that runs the command."""
        self.has_absences = False
        """Whether questions name people, who are away now and then."""
        self.away: dict[str, Absence] = {}
        self.heard: list[dict[str, Absence]] = [{}, {}]
        self.listened = [0.0, 0.0]
        """When each replica last read the absences."""
        self.inactive: frozenset[str] = frozenset()
        self.reviewed: dict[str, float] = {}
        """The times for which the prompts of absences were reviewed."""

    # --- what people say ---

    def set_away(
        self, place: int, new_id: str, who: str, begin: float | None, end: float, sub: str, n: str
    ) -> Absence:
        """A person says that it will be away: once more, or with `n` otherwise than before."""
        current = [a for a in self.away.values() if a.end > self.now]
        mine = [a for a in current if a.who == who]
        old = next((a for a in mine if a.n == n), None)
        if sub == who:
            raise Refused("InvalidField")
        if n and old is None:
            raise Refused("AbsenceNotFound")
        if old is None:
            said = [a for a in mine if (a.end, a.sub) == (end, sub)]
            old = next((a for a in said if (a.holds(self.now) if begin is None else a.begin == begin)), None)
        if begin is None:
            begin = old.begin if old is not None else self.now
        new = Absence(old.n if old is not None else new_id, who, begin, end, sub, changed=self.now)
        if old is not None and replace(new, changed=old.changed) == old:
            new = old
        else:
            self._check(new, [a for a in current if a.n != new.n])
        return self._tell(place, new)

    def end_away(self, place: int, n: str) -> Absence:
        """A person is back, or will not go."""
        a = self.away[n]
        if a.end <= self.now:
            return a
        return self._tell(place, replace(a, begin=min(a.begin, self.now), end=self.now, changed=self.now))

    def _check(self, new: Absence, others: list[Absence]) -> None:
        same = [a for a in others if a.who == new.who]
        overlaps = any(a.begin < new.end and new.begin < a.end for a in same)
        if new.end <= max(new.begin, self.now) or overlaps or _closes_circle(new, others):
            raise Refused("InvalidField")

    def turn_person(self, name: str, *, active: bool) -> None:
        """The directory says that a person is active, or not: its absences and those of others that it stands
        in for are changed."""
        if active == (name not in self.inactive):
            return
        self.inactive = self.inactive ^ {name}
        theirs = [a for a in self.away.values() if name in (a.who, a.sub) and a.end > self.now - OVERLAP]
        self.away = {**self.away, **{a.n: replace(a, changed=self.now) for a in theirs}}

    def _tell(self, place: int, a: Absence) -> Absence:
        self.away = {**self.away, a.n: a}
        self._hear(place, {a.n: a})
        return a

    def _hear(self, place: int, news: dict[str, Absence]) -> None:
        news = {n: replace(a, gone=bool({a.who, a.sub} & self.inactive)) for n, a in news.items()}
        heard = {**self.heard[place], **news}
        old = self.now - FORGET
        heard = {n: a for n, a in heard.items() if not (a.changed < old and a.end <= old)}
        self.heard = [heard if i == place else h for i, h in enumerate(self.heard)]

    def listen(self, place: int, *, first: bool = False) -> None:
        """A replica reads what has changed, or when it starts all that is not over."""
        since = self.listened[place] - OVERLAP
        if first:
            self.heard = [{} if i == place else h for i, h in enumerate(self.heard)]
        news = {n: a for n, a in self.away.items() if (a.end > self.now if first else a.changed >= since)}
        self.listened = [self.now if i == place else at for i, at in enumerate(self.listened)]
        self._hear(place, news)

    def take_reviews(self, place: int) -> list[str]:
        """The people whose prompts a replica reviews now."""
        due = {n: a.review_due(self.now) for n, a in self.heard[place].items()}
        due = {n: until for n, until in due.items() if self.reviewed.get(n, -inf) < until}
        self.reviewed = {**self.reviewed, **due}
        return [self.away[n].who for n in due]

    # --- what prompts make of it ---

    def absence_of(self, who: str) -> Absence | None:
        """As the replica has heard it. The first one, if it has heard of two."""
        found = [a for a in self.heard[self.place].values() if a.who == who and a.holds(self.now)]
        return min(found, key=lambda a: (a.begin, a.n), default=None)

    def follow(self, p: Prompt) -> None:
        """Make the substitutes of an open prompt what they should be."""
        while True:
            wanted, refused = self._wanted(p)
            over = [d["n"] for d in p["given"] if d["away"] and self._stays(p, wanted, refused, d) is None]
            if not over:
                break
            rights.end(p, over, votes=False)
        for d in p["given"]:
            if d["away"]:
                d["until"] = self._stays(p, wanted, refused, d)
        numbers: dict[Pair, int] = {}
        for (giver, sub), new in wanted.items():
            old = [d for d in p["given"] if d["away"] and (d["giver"], d["to"]) == (giver, sub)]
            if not old:
                p["last"] += 1
                parent = numbers.get((new["holder"], giver), new["parent"])
                old = [{**new, "n": p["last"], "parent": parent}]
                p["given"] += old
            numbers[new["holder"], sub] = old[0]["n"]
        p["skipped"] |= refused

    def _stays(
        self, p: Prompt, wanted: dict[Pair, dict[str, Any]], refused: set[Pair], d: dict[str, Any]
    ) -> float | None:
        """Until when a substitute has its right; None: it is over. A claim that needs it keeps it, unless it
        may not be a substitute any more."""
        if (d["giver"], d["to"]) in wanted:
            return float(wanted[d["giver"], d["to"]]["until"])
        if (d["giver"], d["to"]) in refused:
            return None
        who, until = p["claim"]
        if until is None or until <= self.now:
            return None
        mine = [e for e in p["given"] if e["away"] and e["to"] == who]
        return float(until) if any(d in rights.chain_of(p, e) for e in mine) else None

    def _wanted(self, p: Prompt) -> tuple[dict[Pair, dict[str, Any]], set[Pair]]:
        """The substitutes that a prompt should have, and those who may not be one."""
        wanted: dict[Pair, dict[str, Any]] = {}
        refused: set[Pair] = set()
        starts: list[tuple[str, str, dict[str, Any] | None]] = [
            (who, who, None)
            for who in sorted(p["ask"]["names"])
            if who not in p["out"] and not rights.has_given(p, who)
        ]
        people = [d for d in p["given"] if not d["away"]]
        starts += [(d["holder"], d["to"], d) for d in people if not rights.is_gone(p, d["to"])]
        for holder, first, by in starts:
            person = first
            chain = rights.chain_of(p, by)
            seen = {holder, person, *(d["giver"] for d in chain)}
            length, until = len(chain), inf
            while (a := self.absence_of(person)) is not None and a.sub and (person, a.sub) not in wanted:
                acts = a.sub in p["ask"]["names"] or any(d["to"] == a.sub for d in people)
                if a.sub not in seen and (acts or any(sub == a.sub for _, sub in wanted)):
                    break
                length += 1
                votes = any(v[0] == a.sub and v[3] != holder for v in p["votes"])
                if a.sub in seen or a.sub in p["out"] or length > rights.MOST or votes or a.gone:
                    refused.add((person, a.sub))
                    break
                until = min(until, a.end)
                wanted[person, a.sub] = {
                    "holder": holder,
                    "giver": person,
                    "to": a.sub,
                    "moved": False,
                    "away": True,
                    "until": until,
                    "parent": by["n"] if by is not None else 0,
                    "as": by["as"] if by is not None else frozenset(),
                }
                seen.add(a.sub)
                person = a.sub
        return wanted, refused


def _closes_circle(new: Absence, others: list[Absence]) -> bool:
    """Whether at some time a person would stand in for itself."""
    for at in [new.begin, *(a.begin for a in others if new.holds(a.begin))]:
        person, seen = new.sub, {new.who}
        while person and person not in seen:
            seen.add(person)
            person = next((a.sub for a in others if a.who == person and a.holds(at)), "")
        if person == new.who:
            return True
    return False
