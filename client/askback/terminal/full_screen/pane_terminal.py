"""The pane as a terminal: the dialogues of the line console ask and write here."""

from __future__ import annotations

import io
from collections.abc import Callable

from askback._model.identity import Identity
from askback._text.text import clean
from askback.terminal.full_screen.prompt_view import writer_on
from askback.terminal.full_screen.question_pane import Question, QuestionPane, TimeLeft
from askback.terminal.value_text import HIDDEN
from askback.terminal.writer import Writer, flat


class _PaneStream(io.StringIO):
    """Hands each piece of drawn text on to the pane."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def write(self, text: str) -> int:
        if text:
            self._write(text)
        return len(text)


class PaneTerminal:
    """Asks a person in a pane of the screen."""

    rows = 0
    """The prompt is on the screen beside the pane: it is not shown page by page."""
    has_keys = True
    has_editor = False

    def __init__(self, pane: QuestionPane) -> None:
        self._pane = pane
        self.person: Identity | None = None
        stream = _PaneStream(pane.write)
        self._writer = writer_on(stream, self.columns, colours=not pane.app.no_color)
        self.writer: Writer = self._writer

    @property
    def columns(self) -> int:
        """The width of a line in columns: of the screen, because the pane has none before it is drawn."""
        app = self._pane.app
        return max(min(app.size.width - 4, app.console.width), 20)

    def fit(self) -> None:
        """Break lines at the width that the screen has now."""
        self._writer.fit(self.columns)

    def start_question(self) -> None:
        """Nothing to discard: a question takes only what is typed while it is open."""

    async def ask(self, question: str, left: TimeLeft | None = None, *, secret: bool = False) -> str:
        """Ask for one line. Raises EOFError."""
        return await self._answer_to(Question(flat(question), left, is_secret=secret))

    async def choose(self, question: str, left: TimeLeft | None = None) -> str:
        """Ask a question with few answers, which ignores pastes. Raises EOFError."""
        return await self._answer_to(Question(flat(question), left, is_choice=True))

    async def ask_text(self, question: str, text: str = "", left: TimeLeft | None = None) -> str:
        """Ask for a text of several lines. Raises EOFError."""
        return await self._answer_to(Question(flat(question) or "The text", left, beginning=text))

    async def edit_text(self, text: str, media_type: str) -> str:
        """Let the person edit a text in the pane. Raises EOFError."""
        return await self.ask_text(f"The text ({clean(media_type) or 'text/plain'})", text)

    def notice(self, text: str, style: str = "") -> None:
        """Write a line, also while a question is open."""
        self.writer.line(text, style)

    async def _answer_to(self, question: Question) -> str:
        self._pane.open(question)
        try:
            answer = await question.answer
        finally:
            self._pane.close(question)
        self.writer.line(f"{question.text.strip()} {HIDDEN if question.is_secret else answer}", "quiet")
        return answer
