"""The keys that the screen offers below the selected prompt."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from askback._model.identity import Identity
from askback.terminal.keys import menu, rule_menu
from askback.terminal.prompt_form import form_of
from askback.terminal.prompt_list import Row
from askback.terminal.rule_maker import may_make_rules

_MOVING = "j next   k previous   / search   ? help   q quit"


def menu_text(row: Row[Any] | None, person: Identity | None, similar: int, *, asking: bool) -> Text:
    """The menu for the selected row, which is one of this many similar ones; `asking`: a question is open."""
    if asking:
        return Text("Enter answers, Esc leaves the question", "dim")
    if row is None:
        return Text(_MOVING, "dim")
    if row.closing is not None:
        answered = row.closing.resolution is not None and row.closing.resolution.answer is not None
        return Text(f"{_MOVING}   ! always" if answered and may_make_rules(person) else _MOVING, "dim")
    deciding, others = menu(row.prompt, fillable=form_of(row.prompt) is not None, many=True, person=person)
    others += rule_menu(row.prompt, person, similar)
    return Text("   ".join(deciding), "bold").append(f"\n{'   '.join([*others, 't take'])}", "dim")
