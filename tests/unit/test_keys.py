"""The table of keys and their meaning, which all consoles share."""

import json

import pytest

from askback._model.enums import DecisionKind
from askback.terminal.keys import KEYS, Action, actions, as_records, help_lines, in_lines, menu
from tests.support.dialogue import ACCEPT, REJECT, RESPOND, prompt

MEANS = {
    "a": "approve",
    "e": "edit",
    "r": "reject",
    "v": "revise",
    "d": "dismiss",
    "Enter": "fill in",
    "c": "comment",
    "s": "skip",
    "u": "undo",
    "j": "next",
    "k": "previous",
    "/": "search",
    "?": "help",
    "q": "quit",
}


def test_the_table_gives_every_decision_one_key() -> None:
    """Every decision has one key and every key one meaning. The table for programs is the same."""
    assert {key.key: str(key.action) for key in KEYS} == MEANS
    assert {key.decision for key in KEYS} == {None, *DecisionKind} - {DecisionKind.UNSPECIFIED}
    assert [record["key"] for record in json.loads(json.dumps(as_records()))] == list(MEANS)
    assert not any(line.startswith("u ") for line in help_lines())  # not before it exists


@pytest.mark.parametrize("many", [False, True])
def test_only_keys_of_offered_decisions_act(many: bool) -> None:
    found = actions(prompt(decisions=((ACCEPT, "Ship it"), (REJECT, "No"))), fillable=False, many=many)
    assert found["a"] is found["approve"] is found["accept"] is found["ship it"] is Action.APPROVE
    assert found["r"] is found["no"] is Action.REJECT
    assert not {"e", "v", "d", "u", "", "enter", "y", "1"} & set(found)
    assert ({"j", "k", "/"} <= set(found)) is many
    form = actions(prompt(decisions=((RESPOND, "Answer"),)), fillable=True)
    assert form[""] is form["enter"] is form["answer"] is Action.FILL
    assert "a" not in form


@pytest.mark.parametrize("width", [10, 40, 60, 100])
def test_a_menu_breaks_between_keys(width: int) -> None:
    asked = prompt(decisions=((ACCEPT, "Approve"), (REJECT, "Reject"), (RESPOND, "Answer")))
    parts = [part for group in menu(asked, fillable=True, many=True) for part in group]
    lines = in_lines(parts, width)
    assert [part.strip() for line in lines for part in line.split("   ")] == parts
    assert all(len(line) <= width or line.strip() in parts for line in lines)
