"""The keys of every console in one table: the line console, the full screen, the web page.

A line console reads a key as a line: the key, then Enter. `docs/reference/keys.md` is generated from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from askback._model.enums import DecisionKind, DelegationScope
from askback._model.identity import Identity
from askback._model.prompts import PromptInfo
from askback._text.text import columns, one_line


class Action(StrEnum):
    """What a key does."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    REVISE = "revise"
    DISMISS = "dismiss"
    FILL = "fill in"
    COMMENT = "comment"
    SKIP = "skip"
    UNDO = "undo"
    AGREE = "agree"
    WITHDRAW = "withdraw"
    OVERRIDE = "override"
    SIMILAR = "similar"
    DELEGATE = "delegate"
    RETURN = "return"
    ALWAYS = "always"
    NEXT = "next"
    PREVIOUS = "previous"
    SEARCH = "search"
    HELP = "help"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `decision` is the decision that it makes, if any; no console knows a `planned` key yet."""

    key: str
    action: Action
    does: str
    decision: DecisionKind | None = None
    planned: bool = False


KEYS: Final = (
    Key("a", Action.APPROVE, "approve it as it is", DecisionKind.ACCEPT),
    Key("e", Action.EDIT, "edit what it shows, then approve that", DecisionKind.EDIT),
    Key("r", Action.REJECT, "reject it; asks for a reason", DecisionKind.REJECT),
    Key("v", Action.REVISE, "ask for changes: it is done again and asked again", DecisionKind.REVISE),
    Key("d", Action.DISMISS, "dismiss it: no answer is needed", DecisionKind.DISMISS),
    Key("Enter", Action.FILL, "fill in its form, field by field", DecisionKind.RESPOND),
    Key("c", Action.COMMENT, "write a comment, which goes with the next decision"),
    Key("s", Action.SKIP, "leave it to others, and go on"),
    Key("u", Action.UNDO, "take the last answer back", planned=True),
    Key("j", Action.NEXT, "look at the next one"),
    Key("k", Action.PREVIOUS, "look at the one before"),
    Key("/", Action.SEARCH, "find a prompt by its words: /refund"),
    Key("?", Action.HELP, "show these keys"),
    Key("q", Action.QUIT, "quit"),
)
"""In the order in which help shows them."""

VOTE_KEYS: Final = (
    Key("g", Action.AGREE, "vote like another person, for the same changes and values"),
    Key("w", Action.WITHDRAW, "withdraw your vote"),
    Key("o", Action.OVERRIDE, "decide as an admin, whatever approval and exclusion say"),
)
"""Keys for prompts that several people approve, or that exclude people. Only terminal consoles have them, and
the answer of a single prompt has only the first one."""

GROUP_KEYS: Final = (
    Key("=", Action.SIMILAR, "decide all similar ones at once: those with the same group key"),
)
"""Keys for several prompts. Only terminal consoles have them."""

DELEGATION_KEYS: Final = (
    Key("p", Action.DELEGATE, "pass it on: delegate it to another person or a group"),
    Key("b", Action.RETURN, "give back what was delegated to you, or take back what you delegated"),
)
"""Keys that change who answers. Only terminal consoles have them."""

RULE_KEYS: Final = (
    Key("!", Action.ALWAYS, "always so: make a rule of an answered one; again: delete that rule"),
)
"""The key of people with the role policy. Only terminal consoles have it."""

CONSOLE_KEYS: Final = (*KEYS, *VOTE_KEYS, *GROUP_KEYS, *DELEGATION_KEYS, *RULE_KEYS)
"""All keys of a terminal console."""

SCREEN_KEYS: Final = (
    ("t", "take it on, so that others cannot answer it; again: give it back"),
    ("Space", "scroll on in the prompt; PgUp scrolls back"),
    ("Esc", "leave a question"),
    ("Ctrl-S", "a text of several lines is done"),
)
"""Further keys of the full screen, where no question is a line of its own."""

_BY_DECISION: Final = {key.decision: key for key in KEYS if key.decision is not None}
_USUAL: Final = {
    DecisionKind.ACCEPT: ("accept", "approve", "confirm", "proceed", "use the suggestion", "yes"),
    DecisionKind.EDIT: ("accept with changes", "approve with changes", "correct it", "edit"),
    DecisionKind.RESPOND: ("answer", "respond"),
    DecisionKind.REVISE: ("ask for changes", "revise"),
    DecisionKind.REJECT: ("reject", "no"),
    DecisionKind.DISMISS: ("dismiss",),
}
"""Usual labels of each decision, the server's own among them: they need no explanation."""
_OF_ONE: Final = (Action.COMMENT, Action.SKIP, Action.HELP, Action.QUIT)
"""The actions that every prompt has, independent of the decisions it offers."""
_OF_MANY: Final = (Action.NEXT, Action.PREVIOUS, Action.SEARCH)


def verb_of(decision: DecisionKind) -> str:
    """The verb for a decision: `approve`, `reject`, …"""
    if decision is DecisionKind.RESPOND:
        return "answer"
    known = _BY_DECISION.get(decision)
    return str(known.action if known else decision).lower()


def name_of(decision: DecisionKind, label: str) -> str:
    """The name of a decision for the person: the asker's label, behind the verb if the label is not usual.

    `Confirm`, but `approve (Do nothing)`: no label can be mistaken for another decision.
    """
    text = one_line(label)
    if text.casefold() in _USUAL.get(decision, ()):
        return text
    return f"{verb_of(decision)} ({text})" if text else verb_of(decision)


def actions(
    prompt: PromptInfo, *, fillable: bool, many: bool = False, person: Identity | None = None
) -> Mapping[str, Action]:
    """The actions for this prompt by the text that is typed: keys, words and the asker's labels.

    A word of the table never means another decision, even if the asker uses it as a label. An empty line
    does nothing unless the prompt is `fillable`. With `many` the person can move between prompts.
    """
    offered = {option.decision: option.label for option in prompt.decisions}
    found: dict[str, Action] = {}
    for decision, label in offered.items():
        if (key := _BY_DECISION.get(decision)) is not None:
            found |= {label.strip().casefold(): key.action, decision.casefold(): key.action}
    found.pop("", None)
    for key in KEYS:
        known = key.decision in offered or key.action in _OF_ONE or (many and key.action in _OF_MANY)
        if key.action is Action.FILL:
            known = fillable or DecisionKind.RESPOND in offered
        for word in (key.key.casefold(), str(key.action)):
            found.pop(word, None)
            if known:
                found[word] = key.action
        if key.action is Action.FILL and known:
            found |= {"": Action.FILL, "answer": Action.FILL}
    if _has_votes_of_others(prompt, person):
        found |= {"g": Action.AGREE, str(Action.AGREE): Action.AGREE}
    return found


def menu(
    prompt: PromptInfo, *, fillable: bool, many: bool = False, person: Identity | None = None
) -> tuple[list[str], list[str]]:
    """The menu for this prompt: the keys that decide, and the other ones.

    For example `["a Approve", "r Reject"]` and `["c comment", "s skip", "? help", "q quit"]`. No key decides
    for a `person` whom the prompt excludes.
    """
    labels = {option.decision: option.label for option in prompt.decisions}
    decide: list[str] = []
    other: list[str] = []
    for key in KEYS:
        if key.action is Action.FILL:
            if fillable or DecisionKind.RESPOND in labels:
                answer = DecisionKind.RESPOND
                text = name_of(answer, labels[answer]) if answer in labels else str(Action.FILL)
                decide.insert(0, f"Enter {text}")
        elif key.decision is not None:
            if key.decision in labels:
                decide.append(f"{key.key} {name_of(key.decision, labels[key.decision])}")
        elif key.action in _OF_ONE or (many and key.action in _OF_MANY):
            other.append(f"{key.key} {key.action}")
    if person is not None and prompt.excludes(person.subject, person.groups):
        return [], other
    if _has_votes_of_others(prompt, person):
        decide.append("g agree with a vote")
    return decide, other


def _has_votes_of_others(prompt: PromptInfo, person: Identity | None) -> bool:
    return any(person is None or vote.user_id != person.subject for vote in prompt.proto.votes)


def vote_menu(prompt: PromptInfo, person: Identity | None) -> list[str]:
    """The keys of a console for the votes and rules of this prompt, as far as this person can use them."""
    if person is None:
        return []
    found = [Action.WITHDRAW] if any(vote.user_id == person.subject for vote in prompt.proto.votes) else []
    if person.admin and (prompt.approval is not None or prompt.exclude is not None):
        found.append(Action.OVERRIDE)
    return [f"{key.key} {key.action}" for key in VOTE_KEYS if key.action in found]


def delegation_menu(prompt: PromptInfo, person: Identity | None) -> list[str]:
    """The keys of a console for delegations of this prompt, as far as this person can use them."""
    if person is None or prompt.excludes(person.subject, person.groups):
        return []
    audience, groups = prompt.proto.content.audience, set(person.groups)
    everyone = not audience.users and not audience.groups
    asked = everyone or person.subject in audience.users or not groups.isdisjoint(audience.groups)
    mine = prompt.delegated_to(person.subject, person.groups)
    policy = prompt.delegation_policy
    found = []
    if (asked or mine is not None) and (policy is None or policy.scope is not DelegationScope.NO_ONE):
        found.append(Action.DELEGATE)
    if (mine is not None and mine.user) or any(d.giver == person.subject for d in prompt.proto.delegations):
        found.append(Action.RETURN)
    return [f"{key.key} {key.action}" for key in DELEGATION_KEYS if key.action in found]


def group_menu(similar: int) -> list[str]:
    """The key of a console for a prompt that is one of this many similar ones."""
    return [f"{key.key} {similar} {key.action}" for key in GROUP_KEYS] if similar > 1 else []


def rule_menu(prompt: PromptInfo, person: Identity | None, similar: int) -> list[str]:
    """The keys of a console for the rules of this prompt, which is one of this many similar ones."""
    return [*vote_menu(prompt, person), *delegation_menu(prompt, person), *group_menu(similar)]


def in_lines(parts: Iterable[str], width: int) -> list[str]:
    """The parts joined into lines of at most `width` columns, without breaking a part."""
    lines: list[str] = []
    for part in parts:
        if lines and columns(lines[-1]) + 3 + columns(part) <= width:
            lines[-1] += f"   {part}"
        else:
            lines.append(f"  {part}")
    return lines


def decision_of(action: Action) -> DecisionKind | None:
    """The decision that an action makes; None for an action that decides nothing."""
    return next((key.decision for key in KEYS if key.action is action), None)


def help_lines(keys: Iterable[Key] = CONSOLE_KEYS) -> list[str]:
    """The table as text, which a line console shows for `?`."""
    return [f"{key.key:<7}{key.does}" for key in keys if not key.planned]


def as_records() -> list[dict[str, object]]:
    """The table as JSON objects, for programs such as a web page."""
    return [
        {
            "key": key.key,
            "action": str(key.action),
            "does": key.does,
            "decision": None if key.decision is None else str(key.decision),
            "planned": key.planned,
        }
        for key in KEYS
    ]
