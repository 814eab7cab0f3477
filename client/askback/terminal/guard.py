"""A dialogue about one prompt that breaks off when the prompt ends or changes."""

from __future__ import annotations

import asyncio

from askback.terminal.board import Row
from askback.terminal.terminal import BY_LINES, Terminal, dotted


class Moved(Exception):
    """The prompt is not what it was when the dialogue began. What was typed is lost on purpose."""


class Guarded:
    """A terminal for questions about one row, as its prompt is now. Every question may raise Moved.

    Only waiting for the person breaks off: an answer on its way is left to the server's verdict.
    """

    def __init__(self, terminal: Terminal, row: Row) -> None:
        self._terminal = terminal
        self._row = row
        self._revision = row.prompt.revision
        self.paper = terminal.paper
        row.moved.clear()

    def check(self) -> None:
        """Raise Moved if the prompt has ended or changed."""
        if self._row.closing is not None or self._row.prompt.revision != self._revision:
            raise Moved

    async def ask(self, question: str) -> str:
        """Put a question; the line that answers it. Raises EOFError, Moved."""
        self.check()
        line = asyncio.ensure_future(self._terminal.ask(question))
        moved = asyncio.ensure_future(self._row.moved.wait())
        try:
            await asyncio.wait((line, moved), return_when=asyncio.FIRST_COMPLETED)
            self.check()
            return await line
        finally:
            line.cancel()
            moved.cancel()
            await asyncio.gather(line, moved, return_exceptions=True)

    async def rewrite(self, text: str, media_type: str) -> str:
        """The text as the person wants it. Raises EOFError, OSError, Moved."""
        self.check()
        if self._terminal.has_editor:
            found = await self._terminal.rewrite(text, media_type)
            self.check()
            return found
        self.paper.line(BY_LINES, "quiet")
        return await dotted(self)
