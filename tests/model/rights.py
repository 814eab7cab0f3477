"""Who may act on a prompt of the reference model, and in whose place (docs/design.md 3, Delegation).

A delegation is a dict: its number `n`, the `holder` of the right, the `giver`, the person `to`, whether it
has `moved`, the number of its `parent` (0: none), and the groups `as` which the holder was asked (none: by
name, or with everyone). That of a substitute is `away`, and ends at `until`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Prompt = dict[str, Any]
NO_GROUPS: frozenset[str] = frozenset()
GROUPS = {"ann": frozenset({"law"}), "dan": frozenset({"ops"})}
"""The groups of people's credentials; none of others."""
MOST = 3
"""Delegations of one right in a row."""


def right_of(
    p: Prompt, who: str, groups: frozenset[str] | None = None
) -> tuple[str, dict[str, Any] | None] | None:
    """The holder of the right by which a person may act, and the delegation; None: it may not.

    `groups`: those of the person, if they are not the usual ones.
    """
    groups = GROUPS.get(who, NO_GROUPS) if groups is None else groups
    if is_gone(p, who):
        return None
    if not has_given(p, who) and is_asked(p["ask"], who, groups):
        return who, None
    for d in p["given"]:
        if d["to"] == who:
            return d["holder"], d
    return None


def is_asked(ask: dict[str, Any], who: str, groups: frozenset[str]) -> bool:
    """Whether a question is for a person: by name, by a group, or because it names no one."""
    return who in ask["names"] or ask["to"] in groups or not (ask["names"] or ask["to"])


def has_given(p: Prompt, who: str) -> bool:
    """Whether a person gave away the right by which it is asked."""
    return any(d["moved"] and d["giver"] == who and not d["parent"] for d in p["given"])


def is_gone(p: Prompt, who: str) -> bool:
    """Whether a person gave its right away, and got none since."""
    lost = False
    for d in p["given"]:
        lost = d["to"] != who and (lost or (d["moved"] and d["giver"] == who))
    return lost


def reach(p: Prompt) -> set[str]:
    """The people who are asked by name, or act for others."""
    if not (p["ask"]["names"] or p["ask"]["to"]):
        return set()
    return {who for who in (*p["ask"]["names"], *(d["to"] for d in p["given"])) if not is_gone(p, who)}


def chain_of(p: Prompt, d: dict[str, Any] | None) -> list[dict[str, Any]]:
    """A delegation and those that it follows from."""
    found = []
    while d is not None:
        found.append(d)
        d = next((e for e in p["given"] if e["n"] == d["parent"]), None)
    return found


def may_get(p: Prompt, who: str, to: str) -> bool:
    """Whether a person who may act can delegate to another one."""
    right = right_of(p, who)
    assert right is not None
    holder, by = right
    chain = chain_of(p, by)
    before = {holder, who, *(d["giver"] for d in chain), *(d["to"] for d in chain)}
    votes = {(v[0], v[3]) for v in p["votes"]}
    used = any(user in (who, to) or slot == holder for user, slot in votes)
    return not (
        used
        or p["ask"].get("within")
        or to in before
        or len(chain) >= MOST
        or to in p["out"]
        or any(d["to"] == to for d in p["given"])
    )


def give(p: Prompt, who: str, to: str, moved: bool) -> None:
    right = right_of(p, who)
    assert right is not None
    holder, by = right
    p["last"] += 1
    named = who in p["ask"]["names"] or not p["ask"]["to"]
    groups = by["as"] if by is not None else frozenset() if named else frozenset({p["ask"]["to"]})
    parent = by["n"] if by is not None else 0
    new = {
        "n": p["last"],
        "holder": holder,
        "giver": who,
        "to": to,
        "moved": moved,
        "away": False,
        "until": None,
        "parent": parent,
        "as": groups,
    }
    p["given"].append(new)
    if moved and p["claim"][0] == who:
        p["claim"] = ("", None)


def end(p: Prompt, numbers: Iterable[int], *, votes: bool = True) -> None:
    """End delegations with all that followed from them: claims too, and votes unless the absence is over."""
    over = set(numbers)
    for d in p["given"]:
        if d["parent"] in over:
            over.add(d["n"])
    if p["claim"][0] in {d["to"] for d in p["given"] if d["n"] in over}:
        p["claim"] = ("", None)
    p["given"] = [d for d in p["given"] if d["n"] not in over]
    if not votes:
        return
    p["voted"] |= {v[0] for v in p["votes"] if v[4] in over}
    p["votes"] = [v for v in p["votes"] if v[4] not in over]


def of_people(p: Prompt, names: set[str]) -> list[int]:
    """Delegations by these people, to them, or of their rights."""
    return [d["n"] for d in p["given"] if names & {d["holder"], d["giver"], d["to"]}]


def unasked(p: Prompt) -> list[int]:
    """Delegations of rights that the audience does not give any more, as far as groups are known."""
    return [d["n"] for d in p["given"] if not is_asked(p["ask"], d["holder"], d["as"])]
