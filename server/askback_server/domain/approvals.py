"""Approval by several people: how many must decide alike, and whether enough have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from askback_server.domain.json_text import Json, JsonObject


@dataclass(frozen=True, slots=True)
class GroupApproval:
    """How many members of a group are needed."""

    group: str
    required: int


@dataclass(frozen=True, slots=True)
class Approval:
    """How many people must decide alike. `checks.normalise` fills in a `required` or `reject_at` of 0."""

    required: int = 0
    """People who accept, of all groups together. 0: as many as the groups need, or 1 without groups."""
    per_group: tuple[GroupApproval, ...] = ()
    """All of these are needed. Each person fills one place of one group, unless the approval is `shared`."""
    reject_at: int = 0
    """People who reject, before the prompt is rejected. 0: one."""
    shared: bool = False
    """Whether a person fills a place in each of its groups."""
    rules_may_fill: int = 0
    """How many of the people may be authors of rules that answer in their name."""

    @property
    def least(self) -> int:
        """The smallest number of people who can fill the places of the groups."""
        counts = [each.required for each in self.per_group]
        return max(1, max(counts, default=1) if self.shared else sum(counts))

    @property
    def groups(self) -> frozenset[str]:
        """The names of its groups."""
        return frozenset(each.group for each in self.per_group)

    @property
    def has_free_places(self) -> bool:
        """Whether a person of none of its groups can be one of those who are needed."""
        return self.required > (0 if not self.per_group else self.least)

    def missing(self, people: Mapping[str, frozenset[str]]) -> Missing:
        """What is missing if exactly these people accept. `people` maps each one to its groups."""
        total = max(0, self.required - len(people))
        if self.shared:
            counts = {each.group: _members(people.values(), each.group) for each in self.per_group}
            places = {each.group: each.required - counts[each.group] for each in self.per_group}
        else:
            places = _unfilled(self.per_group, people)
        return Missing(total, {group: n for group, n in places.items() if n > 0})


@dataclass(frozen=True, slots=True)
class Missing:
    """How many people are missing: in all, and by group."""

    total: int
    by_group: Mapping[str, int]

    @property
    def nothing(self) -> bool:
        """Whether the approval is complete."""
        return not self.total and not self.by_group


def _members(people: Iterable[Collection[str]], group: str) -> int:
    return sum(1 for groups in people if group in groups)


def _unfilled(places: Sequence[GroupApproval], people: Mapping[str, frozenset[str]]) -> dict[str, int]:
    """The places that stay free if as many as possible are filled, each by another person.

    A maximum matching by augmenting paths: to fill them in the order of the votes could give the only member
    of one group a place of another one, which others could have filled. Of each group only as many people
    are looked at as there are places in all: with more of them its places can always be filled.
    """
    in_all = sum(place.required for place in places)
    candidates: dict[str, list[str]] = {place.group: [] for place in places}
    for person in sorted(people):
        for group in people[person] & candidates.keys():
            if len(candidates[group]) < in_all:
                candidates[group].append(person)
    held: dict[str, str] = {}  # person -> the group whose place it fills

    def fill(group: str, seen: set[str]) -> bool:
        for person in candidates[group]:
            if person in seen:
                continue
            seen.add(person)
            if person not in held or fill(held[person], seen):
                held[person] = group
                return True
        return False

    unfilled: dict[str, int] = {}
    for place in places:
        filled = 0
        while filled < place.required and fill(place.group, set()):
            filled += 1
        unfilled[place.group] = place.required - filled
    return unfilled


def approval_to_doc(approval: Approval) -> JsonObject:
    """The document of an approval; fields at their default are left out."""
    doc: JsonObject = {"required": approval.required, "reject_at": approval.reject_at}
    if approval.per_group:
        doc["per_group"] = [[each.group, each.required] for each in approval.per_group]
    if approval.shared:
        doc["shared"] = True
    if approval.rules_may_fill:
        doc["rules_may_fill"] = approval.rules_may_fill
    return doc


def approval_from_doc(doc: Mapping[str, Json]) -> Approval:
    """The approval that `approval_to_doc` wrote."""
    groups = tuple(GroupApproval(group, required) for group, required in doc.get("per_group", ()))
    return Approval(
        doc["required"], groups, doc["reject_at"], doc.get("shared", False), doc.get("rules_may_fill", 0)
    )
