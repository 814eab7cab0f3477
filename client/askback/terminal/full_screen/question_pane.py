"""Questions of the wizard, below the lines that it wrote before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, RichLog, Static, TextArea

from askback._text.text import clean
from askback.terminal.full_screen.dead_time import DeadTime

TimeLeft = Callable[[], str]


@dataclass(slots=True, eq=False)
class Question:
    """One question. Its `answer` is the line or the text; EOFError if the person leaves it."""

    text: str
    left: TimeLeft | None = None
    is_choice: bool = False
    is_secret: bool = False
    beginning: str | None = None
    """The text of several lines to start from; None: one line is asked for."""
    answer: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class LineInput(Input):
    """One line. A paste of several lines would lose all but the first: it is refused with a note."""

    is_choice = False

    def _on_paste(self, event: events.Paste) -> None:
        lines = event.text.splitlines()
        if self.is_choice or len(lines) > 1:
            event.prevent_default()
            event.stop()
            pane = self.query_ancestor(QuestionPane)
            pane.note("type the answer: pastes are ignored here" if self.is_choice else _ONE_LINE)


_ONE_LINE = "this paste has several lines, and one fits here: nothing was inserted"


class QuestionPane(Vertical):
    """Shows one question at a time and calls `changed` for each. `may_send`: whether Enter may end it."""

    BINDINGS: ClassVar[Any] = [
        ("escape,ctrl+d", "leave", "leave the question"),
        ("ctrl+s", "finish", "the text is done"),
    ]

    def __init__(
        self, dead_time: DeadTime, may_send: Callable[[], bool], changed: Callable[[], None]
    ) -> None:
        super().__init__(id="pane")
        self._changed = changed
        self._dead_time = dead_time
        self._may_send = may_send
        self.question: Question | None = None
        # Kept, not looked up: a dialogue may end after the screen has.
        self._lines = RichLog(
            id="lines", wrap=True, highlight=False, markup=False, max_lines=2_000, min_width=20
        )
        self._asked = Static(id="question", markup=False)
        self.line, self.text = LineInput(id="line"), TextArea(id="text")

    def compose(self) -> ComposeResult:
        """The lines so far, the question, and where the answer is typed."""
        yield from (self._lines, self._asked, self.line, self.text)

    def on_mount(self) -> None:
        """Begin without a question."""
        self._lines.can_focus = False
        self._show()

    def write(self, drawn: str) -> None:
        """Append lines that a writer has drawn."""
        self._lines.write(Text.from_ansi(drawn.removesuffix("\n")))

    def note(self, text: str) -> None:
        """Append a line of the program's own."""
        self._lines.write(Text(f"! {text}", "yellow"))

    def open(self, question: Question) -> None:
        """Show a question. Keys typed before it do not answer it."""
        self.question = question
        line = self.line
        line.value, line.password, line.is_choice = "", question.is_secret, question.is_choice
        self.text.text = question.beginning or ""
        self._dead_time.begin()
        self._show()
        (line if question.beginning is None else self.text).focus()

    def close(self, question: Question) -> None:
        """End a question. What was typed without an answer is written out, unless it is secret."""
        if self.question is not question:
            return
        is_line = question.beginning is None
        typed = self.line.value if is_line else self.text.text
        unsent = question.answer.cancelled() and not question.is_secret
        if unsent and typed and typed != question.beginning:
            self._lines.write(Text(f"  You had typed: {clean(typed)}", "dim"))
        self.question = None
        self._show()

    def repaint(self) -> None:
        """Draw the question again, with the present time left."""
        if self.question is not None:
            left = self.question.left() if self.question.left else ""
            time = f"  [{left}]" if left else ""
            keys = "" if self.question.beginning is None else "  (Ctrl-S when you are done)"
            self._asked.update(Text(f"{self.question.text.strip()}{time}{keys}", "bold"))

    def _show(self) -> None:
        question = self.question
        self._asked.display = question is not None
        self.line.display = question is not None and question.beginning is None
        self.text.display = question is not None and question.beginning is not None
        self._changed()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter answers a question of one line."""
        event.stop()
        self._answer(event.value)

    def action_finish(self) -> None:
        """End a text of several lines."""
        if self.question is not None and self.question.beginning is not None:
            self._answer(self.text.text)

    def action_leave(self) -> None:
        """Leave the question without an answer."""
        if self.question is not None and not self.question.answer.done():
            self.question.answer.set_exception(EOFError())

    def _answer(self, text: str) -> None:
        if self.question is None or self.question.answer.done() or not self._dead_time.is_over:
            return
        if not self._may_send():
            self.note("no connection: what you typed stays here; Enter works when it is back")
            return
        self.question.answer.set_result(text)
