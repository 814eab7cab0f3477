"""A terminal: lines in, lines out, and the person's editor."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from pathlib import Path
from typing import Protocol

from askback.terminal.lines import Lines
from askback.terminal.paper import Paper, PlainPaper

_SUFFIXES = {
    "text/markdown": ".md",
    "text/x-diff": ".diff",
    "text/x-patch": ".diff",
    "text/html": ".html",
    "application/json": ".json",
}


BY_LINES = "the new text, whole, ended by a line with a single dot:"


class Dialogue(Protocol):
    """What a wizard needs: paper, answers to questions, and whole texts."""

    paper: Paper

    async def ask(self, question: str) -> str:
        """Put a question; the line that answers it. Raises EOFError."""

    async def rewrite(self, text: str, media_type: str) -> str:
        """The text as the person wants it. Raises EOFError, or OSError if the editor cannot be run."""


class Terminal:
    """Standard input and output."""

    def __init__(self, paper: Paper | None = None, lines: Lines | None = None) -> None:
        self.paper: Paper = paper or PlainPaper()
        self.lines = lines or Lines()
        self._question: str | None = None
        self._in_editor = False
        self._held: list[tuple[str, str]] = []

    @property
    def has_editor(self) -> bool:
        """Whether texts are edited in $VISUAL or $EDITOR, and not line by line."""
        return bool(self.lines.is_terminal and _editor())

    async def ask(self, question: str) -> str:
        """Put a question; the line that answers it. Raises EOFError."""
        self.paper.begin(question)
        self._question = question
        try:
            line = await self.lines.line()
        except BaseException:
            self.paper.line()
            raise
        finally:
            self._question = None
        if not self.lines.is_terminal:
            self.paper.line(line)  # a terminal shows what is typed; a script's transcript shows it too
        return line

    def notice(self, text: str, style: str = "") -> None:
        """A line in between: above the question that is open, or after the editor."""
        if self._in_editor:
            self._held.append((text, style))
            return
        if self._question is not None:
            self.paper.line()
        self.paper.line(text, style)
        if self._question is not None:
            self.paper.begin(self._question)

    def forget_typed(self) -> None:
        """Throw away a half-typed line. A script's lines stay: where they end is not ours to guess."""
        if self.lines.is_terminal:
            self.lines.forget()

    async def rewrite(self, text: str, media_type: str) -> str:
        """The text after $VISUAL or $EDITOR; without one, or for a script, new lines up to a single dot."""
        if self.has_editor:
            return await self._edited(shlex.split(_editor()), text, media_type)
        self.paper.line(BY_LINES, "quiet")
        return await dotted(self)

    async def _edited(self, editor: list[str], text: str, media_type: str) -> str:
        with tempfile.TemporaryDirectory(prefix="askback-") as folder:
            path = Path(folder) / f"content{_SUFFIXES.get(media_type, '.txt')}"
            path.write_bytes(text.encode())
            self._in_editor = True
            try:
                process = await asyncio.create_subprocess_exec(*editor, str(path))
                try:
                    code = await process.wait()
                except asyncio.CancelledError:
                    process.terminate()
                    await process.wait()
                    raise
            finally:
                self._in_editor = False
                held, self._held = self._held, []
                for line, style in held:
                    self.notice(line, style)
            if code:
                raise OSError(f"{editor[0]} ended with {code}; nothing was changed")
            return path.read_bytes().decode("utf-8", "replace")


def _editor() -> str:
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""


async def dotted(dialogue: Dialogue) -> str:
    """Lines up to a single dot, as one text."""
    lines: list[str] = []
    while (line := await dialogue.ask("> ")) != ".":
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)
