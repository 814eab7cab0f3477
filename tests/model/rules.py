"""Rules of the reference model (docs/how-to/rules.md), independent of the server's code.

A book is what a replica can know: the rules that are on, and what the directory says of their authors. Books
are never changed, only replaced, so a replica's knowledge is a number: the place of a book in the history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, combinations
from typing import Any, NamedTuple

from tests.model import rights
from tests.model.answers import Answers

Ask = dict[str, Any]


class Unknown(Exception):
    """A condition reads what the question does not have."""


def _is_tool_ls(ask: Ask) -> bool:
    if ask["tool"] is None:
        raise Unknown
    return bool(ask["tool"] == "ls")


CONDITIONS: dict[str, Callable[[Ask], bool]] = {
    "all": lambda _: True,
    "prod": lambda ask: ask["env"] == "prod",
    "elsewhere": lambda _: False,
    "ls": _is_tool_ls,
    "prod ls": lambda ask: ask["env"] == "prod" and _is_tool_ls(ask),
}
"""By a name that `translator.py` knows too. `elsewhere` is for another type of job."""


@dataclass(frozen=True)
class Rule:
    """A rule that is on. `does` is ANSWER, ASK, REFUSE or ROUTE."""

    name: str
    revision: int
    author: str
    does: str
    when: str
    except_good: bool = False
    """Whether it has an exception: the title `Is it good?`."""
    decision: str = "ACCEPT"
    """With ANSWER."""
    to: str = ""
    """With ROUTE: the group that is asked; empty: as before."""
    needs: tuple[int, int, int] | None = None
    """With ROUTE: the approval that is added."""
    priority: int = 0
    """With ROUTE: the least priority; 0: as before."""
    timeout: float = 0.0
    """With ROUTE: the longest timeout; 0: as before."""
    most: int = 0
    """How many prompts it may decide or route; 0: no limit."""
    until: float = 0.0
    """When it expires."""

    def matches(self, ask: Ask) -> bool:
        """Whether it matches a question. Raises Unknown."""
        return CONDITIONS[self.when](ask) and not (self.except_good and ask["title"] == "Is it good?")


class Author(NamedTuple):
    """What the directory says of a person, as of the change with the number `stamp`."""

    stamp: int
    active: bool
    groups: frozenset[str]


@dataclass(frozen=True)
class Book:
    """The rules that are on, by name, and their authors."""

    version: int = 0
    rules: Mapping[str, Rule] = field(default_factory=dict)
    authors: Mapping[str, Author] = field(default_factory=dict)

    def __deepcopy__(self, _: Any) -> Book:
        return self

    def with_rules(self, rules: Mapping[str, Rule]) -> Book:
        return replace(self, version=self.version + 1, rules=rules)

    def with_author(self, name: str, *, active: bool, groups: frozenset[str]) -> Book:
        before = self.authors.get(name)
        if before is not None and before[1:] == (active, groups):
            return self
        stamp = 1 + max((each.stamp for each in self.authors.values()), default=0)
        return replace(self, authors={**self.authors, name: Author(stamp, active, groups)})


class Choice(NamedTuple):
    """What a replica may have known when it decided: a book, and rules that it took for used up."""

    book: int
    spent: frozenset[str]


class Ruling(NamedTuple):
    """What the rules of a book say of a question."""

    ask: Ask
    """The question as the rules route it."""
    routes: list[Rule]
    deciding: list[Rule]


def rule_on(book: Book, spent: frozenset[str], ask: Ask, now: float) -> Ruling:
    """What the rules say. No order and no specificity: the strictest effect that matches."""
    found: dict[str, list[Rule]] = {"ANSWER": [], "ASK": [], "REFUSE": [], "ROUTE": []}
    people_must_decide = False
    for rule in book.rules.values():
        if rule.until <= now:
            continue
        try:
            if rule.matches(ask):
                found[rule.does].append(rule)
        except Unknown:
            people_must_decide |= rule.does != "ANSWER"
    routes = [rule for rule in found["ROUTE"] if rule.name not in spent]
    routed, fit = _route(ask, routes)
    deciding: list[Rule] = []
    answers = [rule for rule in found["ANSWER"] if rule.name not in spent]
    if found["REFUSE"]:
        deciding = [rule for rule in found["REFUSE"] if rule.name not in spent]
    elif not found["ASK"] and not people_must_decide and len({rule.decision for rule in answers}) == 1:
        deciding = answers
    if not fit and not found["REFUSE"]:
        deciding = []
    return Ruling(routed, routes, sorted(deciding, key=lambda rule: rule.name))


def _route(ask: Ask, routes: list[Rule]) -> tuple[Ask, bool]:
    """The question after the rules that route it, and whether their audiences fit it and each other."""
    groups = {rule.to for rule in routes if rule.to}
    is_for_all = not ask["to"] and not ask["names"]
    fit = not groups or (len(groups) == 1 and (is_for_all or ask["to"] in groups))
    ask = {**ask, "priority": max([ask["priority"], *(r.priority for r in routes if r.priority)])}
    if timeouts := [rule.timeout for rule in routes if rule.timeout]:
        ask["timeout"] = min([*timeouts, *([ask["timeout"]] if ask["timeout"] else [])])
    if groups and fit:
        ask["to"], ask["names"] = min(groups), ()
    needs = [rule.needs for rule in routes if rule.needs]
    if needs:
        needs += [ask["needs"]] if ask["needs"] else []
        required, reject_at, may_fill = zip(*needs, strict=True)
        ask["needs"] = max(required), min(reject_at), min(may_fill)
    return ask, fit


def subsets(names: Iterable[str]) -> list[frozenset[str]]:
    names = list(names)
    return [frozenset(c) for c in chain(*(combinations(names, n) for n in range(len(names) + 1)))]


class Rulings(Answers):
    """Applies rules to questions.

    A replica learns of changes within a period, and at once when a write that uses a rule is refused. So
    `choices` are what it may have known, and the write says whether it could be done with that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.books = [Book()]
        self.off: dict[str, Rule] = {}
        """Rules that are off and not deleted, by name."""
        self.newest: dict[str, int] = {}
        """The newest revisions of the rules that are not deleted, by name."""
        self.made = 0
        """How many rules have been created."""
        self.known = [0, 0]
        """For each replica the place of the book that it has read for certain."""
        self.uses: dict[str, int] = {}
        self.choice: Choice | None = None
        """What the replica that runs the next command knew. None: everything."""
        self.impossible = False
        """Whether the last command could not be done with what the replica knew."""

    @property
    def book(self) -> Book:
        """What is true now."""
        return self.books[-1]

    def save(self, rule: Rule) -> None:
        """Create a rule, or replace it by a new revision. It is on."""
        self._note_revision(rule)
        self.off.pop(rule.name, None)
        self._turn(self.book.with_rules({**self.book.rules, rule.name: rule}))

    def switch_off(self, name: str, *, deleted: bool) -> None:
        rules = dict(self.book.rules)
        rule = rules.pop(name, None)
        self._turn(self.book.with_rules(rules))
        if deleted:
            self.off.pop(name, None)
            del self.newest[name]
        elif rule is not None:
            self.off[name] = rule

    def _note_revision(self, rule: Rule) -> None:
        if rule.name not in self.newest:
            self.made += 1
        self.newest[rule.name] = max(rule.revision, self.newest.get(rule.name, 0))

    def note_author(self, name: str, *, active: bool, groups: frozenset[str]) -> None:
        self.turn_person(name, active=active)
        self._turn(self.book.with_author(name, active=active, groups=groups))

    def _turn(self, book: Book) -> None:
        self.books = [*self.books, book]

    def load(self, replica: int) -> None:
        """The replica reads the rules."""
        self.known = [len(self.books) - 1 if i == replica else k for i, k in enumerate(self.known)]

    def spent(self) -> frozenset[str]:
        """The rules without uses left."""
        rules = self.book.rules.values()
        return frozenset(r.name for r in rules if r.most and self.uses.get(r.name, 0) >= r.most)

    def choices(self, replica: int, *, alone: bool) -> list[Choice]:
        """What a replica may know, the newest first. Of an older book it may count other uses; and `alone`
        False: other commands at the same time may have taken the last use, or given it back."""
        found = []
        newest = len(self.books) - 1
        for place in range(newest, self.known[replica] - 1, -1):
            limited = [rule.name for rule in self.books[place].rules.values() if rule.most]
            exact = place == newest and alone
            found += [Choice(place, s) for s in ([self.spent()] if exact else subsets(limited))]
        return found

    def _consult(self, ask: Ask) -> Ruling:
        choice = self.choice or Choice(len(self.books) - 1, self.spent())
        return rule_on(self.books[choice.book], choice.spent, ask, self.now)

    def _apply(self, j: dict[str, Any], p: dict[str, Any], ruling: Ruling) -> None:
        """Give the answers of rules to a prompt that was just asked or amended, and count their uses."""
        book = self.books[self.choice.book] if self.choice else self.book
        able = [rule for rule in ruling.deciding if self._may_answer(p, rule, book.authors.get(rule.author))]
        required, _, may_fill = p["ask"]["needs"] or (1, 1, 0)
        room = 1 if required == 1 else may_fill
        used = {rule.name for rule in ruling.routes}
        asked: set[str] = set()
        for rule in able:
            if p["state"] != "PENDING" or len(asked) == room or rule.author in asked:
                continue
            asked.add(rule.author)
            used.add(rule.name)
            self.impossible |= book.authors[rule.author] != self.book.authors.get(rule.author)
            decision = "REJECT" if rule.does == "REFUSE" else rule.decision
            id = f"rule:{rule.name}@{rule.revision}:{p['revision']}"
            p["answers"][id] = ((rule.author, p["revision"], decision, ""), "ACCEPTED")
            if p["ask"]["needs"]:
                groups = book.authors[rule.author].groups
                status = self._vote(j, p, rule.author, id, decision, groups)
                p["answers"][id] = (p["answers"][id][0], status)
            else:
                p["for"][id] = rule.author
                self._close(j, p, "ANSWERED", winner=id)
        self.impossible |= bool(used) and book.version != self.book.version
        for name in used:
            self.uses = {**self.uses, name: self.uses.get(name, 0) + 1}
            ref = f"{name}@{book.rules[name].revision}"
            j["uses"][ref] = j["uses"].get(ref, 0) + 1
            most = self.book.rules[name].most if name in self.book.rules else 0
            self.impossible |= bool(most) and self.uses[name] > most
        if p["state"] == "PENDING":
            self.follow(p)

    def _may_answer(self, p: dict[str, Any], rule: Rule, author: Author | None) -> bool:
        """Whether the author could give the answer alone now."""
        if author is None or not author.active or rule.author in p["out"]:
            return False
        right = rights.right_of(p, rule.author, author.groups)
        if right is None or right[1] is not None or self._claimant(p) not in ("", rule.author):
            return False
        required, _, may_fill = p["ask"]["needs"] or (1, 1, 0)
        return (required == 1 or may_fill > 0) and rule.decision in ("ACCEPT", "REJECT")
