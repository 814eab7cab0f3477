"""A dialogue about one prompt that breaks off when the prompt ends or changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from askback.terminal import words
from askback.terminal.board import Row
from askback.terminal.terminal import Left, Terminal, rewrite_in_place, write_by_lines


class Moved(Exception):
    """The prompt is not what it was when the dialogue began: nothing that was typed is sent."""


class Guarded:
    """A terminal for questions about one row, as its prompt is now. Every question may raise Moved.

    Only waiting for the person breaks off: an answer on its way is left to the server's verdict.
    """

    def __init__(self, terminal: Terminal, row: Row[Any]) -> None:
        self._terminal = terminal
        self._row = row
        self._revision = row.prompt.revision
        self.writer = terminal.writer
        row.moved.clear()

    def check(self) -> None:
        """Raise Moved if the prompt has ended or changed."""
        if self._row.closing is not None or self._row.prompt.revision != self._revision:
            raise Moved

    def start_question(self) -> None:
        """A question begins with what is written next: what was typed before that is no answer to it."""
        self._terminal.start_question()

    @property
    def columns(self) -> int:
        """How wide lines may be."""
        return self._terminal.columns

    @property
    def has_keys(self) -> bool:
        """Whether a person types at a keyboard."""
        return self._terminal.has_keys

    async def ask(self, question: str, *, secret: bool = False) -> str:
        """Put a question; the line that answers it. Raises EOFError, Moved."""
        return await self._line(partial(self._terminal.ask, secret=secret), question)

    async def choose(self, question: str) -> str:
        """The same for a question with few answers: a paste is none of them. Raises EOFError, Moved."""
        return await self._line(self._terminal.choose, question)

    async def write(self, question: str, text: str = "") -> str:
        """The same for a text of several lines. Raises EOFError, Moved."""
        if not self.has_keys:
            return await write_by_lines(self, question, text)
        return await self._line(lambda asked, left: self._terminal.write(asked, text, left), question)

    async def _line(self, put: Callable[[str, Left | None], Awaitable[str]], question: str) -> str:
        self.check()
        line = asyncio.ensure_future(put(question, self._left if self._row.prompt.expires_at else None))
        moved = asyncio.ensure_future(self._row.moved.wait())
        try:
            await asyncio.wait((line, moved), return_when=asyncio.FIRST_COMPLETED)
            self.check()
            return await line
        finally:
            line.cancel()
            moved.cancel()
            await asyncio.gather(line, moved, return_exceptions=True)

    def _left(self) -> str:
        """The time that is left, for the person who types."""
        time = words.left(self._row.prompt, words.now())
        return time if time == "over" else f"{time} left"

    async def rewrite(self, text: str, media_type: str) -> str:
        """The text as the person wants it. Raises EOFError, OSError, Moved."""
        self.check()
        if self._terminal.has_editor:
            found = await self._terminal.rewrite(text, media_type)
            self.check()
            return found
        return await rewrite_in_place(self, text)
