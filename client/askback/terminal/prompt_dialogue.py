"""A dialogue about one prompt, aborted when the prompt ends or changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from askback._model.prompts import PromptInfo
from askback._model.shown import shows_same
from askback.terminal import words
from askback.terminal.prompt_list import Row
from askback.terminal.terminal import PersonTerminal, TimeLeft, edit_in_place, read_text_lines


class PromptChanged(Exception):
    """The prompt has ended or changed since the dialogue began: nothing that was typed is sent."""


class PromptDialogue:
    """A terminal for questions about one row's prompt as it is now.

    Every question raises PromptChanged when the prompt ends or changes. Only waiting for the person is
    aborted: for an answer that is already being sent, the server decides.
    """

    def __init__(self, terminal: PersonTerminal, row: Row[Any]) -> None:
        self._terminal = terminal
        self._row = row
        self._prompt: PromptInfo = row.prompt
        self.writer = terminal.writer
        row.changed.clear()

    def check(self) -> None:
        """Raise PromptChanged if the prompt has ended or changed."""
        if self._row.closing is not None or not shows_same(self._row.prompt, self._prompt):
            raise PromptChanged

    def start_question(self) -> None:
        """Begin a question with the text that is written next: discard the keys typed before it."""
        self._terminal.start_question()

    @property
    def columns(self) -> int:
        """The width of a line, in columns."""
        return self._terminal.columns

    @property
    def has_keys(self) -> bool:
        """Whether a person types at a keyboard."""
        return self._terminal.has_keys

    async def ask(self, question: str, *, secret: bool = False) -> str:
        """Ask a question and return the line that was typed. Raises EOFError, PromptChanged."""
        return await self._line(partial(self._terminal.ask, secret=secret), question)

    async def choose(self, question: str) -> str:
        """Ask a question with few answers, which ignores pastes. Raises EOFError, PromptChanged."""
        return await self._line(self._terminal.choose, question)

    async def ask_text(self, question: str, text: str = "") -> str:
        """Ask for a text of several lines. Raises EOFError, PromptChanged."""
        if not self.has_keys:
            return await read_text_lines(self, question, text)
        return await self._line(lambda asked, left: self._terminal.ask_text(asked, text, left), question)

    async def _line(self, put: Callable[[str, TimeLeft | None], Awaitable[str]], question: str) -> str:
        self.check()
        line = asyncio.ensure_future(put(question, self._time_left if self._row.prompt.expires_at else None))
        changed = asyncio.ensure_future(self._row.changed.wait())
        try:
            await asyncio.wait((line, changed), return_when=asyncio.FIRST_COMPLETED)
            self.check()
            return await line
        finally:
            line.cancel()
            changed.cancel()
            await asyncio.gather(line, changed, return_exceptions=True)

    def _time_left(self) -> str:
        """The time left to answer, shown while the person types."""
        time = words.time_left(self._row.prompt, words.now())
        return time if time == "over" else f"{time} left"

    async def edit_text(self, text: str, media_type: str) -> str:
        """Let the person edit a text. Raises EOFError, OSError, PromptChanged."""
        self.check()
        if self._terminal.has_editor:
            found = await self._terminal.edit_text(text, media_type)
            self.check()
            return found
        return await edit_in_place(self, text)
