"""The list of prompts. Only the person moves its selection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text
from textual.widget import Widget

from askback._model.identity import Identity
from askback.terminal import words
from askback.terminal.full_screen.queue_text import queue_line
from askback.terminal.prompt_list import Row


class QueueView(Widget, can_focus=True):
    """Draws the rows around the selected one."""

    def __init__(self, person: Identity | None = None) -> None:
        super().__init__(id="queue")
        self._person = person
        self.rows: Sequence[Row[Any]] = ()
        self.selected: Row[Any] | None = None

    def show(self, rows: Sequence[Row[Any]], selected: Row[Any] | None) -> None:
        """Show these rows."""
        self.rows, self.selected = rows, selected
        self.refresh()

    def render(self) -> Text:
        """Draw the rows that fit, the selected one among them."""
        width, height, at = self.size.width, max(self.size.height, 1), words.now()
        if not self.rows:
            return Text("nothing waits for you", "dim")
        place = next((n for n, row in enumerate(self.rows) if row is self.selected), 0)
        first = min(max(place - height // 2, 0), max(len(self.rows) - height, 0))
        lines = Text(no_wrap=True)
        for row in self.rows[first : first + height]:
            selected = row is self.selected
            style = "reverse" if selected and self.has_focus else "bold" if selected else ""
            if row.closing is not None:
                style += " dim"
            lines.append(f"{queue_line(row, at, width, selected=selected, person=self._person)}\n", style)
        return lines
