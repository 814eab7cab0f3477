"""The page has the letters of the terminal consoles."""

import re
from pathlib import Path

from askback._model.enums import DecisionKind
from askback.terminal.keys import KEYS, Action

SOURCE = Path(__file__).resolve().parents[2] / "client" / "web" / "src" / "view" / "keys.ts"
_KEY = re.compile(r'key: "([^"]+)", does: "key\.(\w+)"(?:, decision: "DECISION_(\w+)")?')
_ELSEWHERE = {Action.QUIT}
"""What the page does without a key of its own: the browser closes it."""


def test_the_page_has_the_letters_of_the_terminal_consoles() -> None:
    page = {
        key: DecisionKind(decision) if decision else None
        for key, _, decision in _KEY.findall(SOURCE.read_text(encoding="utf-8"))
    }
    wanted = {key.key: key.decision for key in KEYS if not key.planned and key.action not in _ELSEWHERE}
    assert {key: page.get(key, "missing") for key in wanted} == wanted
    planned = {key.key for key in KEYS if key.planned}
    assert not planned & set(page), "a planned key has a meaning in the page already"
