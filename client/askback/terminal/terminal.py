"""The terminal: asks questions, writes notices, runs the person's editor."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from askback._model.identity import Identity
from askback.terminal.line_reader import LineReader
from askback.terminal.value_text import HIDDEN
from askback.terminal.writer import PlainWriter, Writer, flat

if TYPE_CHECKING:
    from askback.terminal.keyboard import Keyboard

TimeLeft = Callable[[], str]

_SUFFIXES = {
    "text/markdown": ".md",
    "text/x-diff": ".diff",
    "text/x-patch": ".diff",
    "text/html": ".html",
    "application/json": ".json",
}


BY_LINES = "the new text, whole, ended by a line with a single dot:"
"""Shown to a script on a pipe, which has no editor and no keyboard."""


class Dialogue(Protocol):
    """What a wizard needs of a terminal: a writer, answers to questions, and texts of several lines."""

    writer: Writer

    @property
    def has_keys(self) -> bool:
        """Whether a person types at a keyboard and can edit the line before Enter."""

    @property
    def columns(self) -> int:
        """The width of a line, in columns."""

    def start_question(self) -> None:
        """Begin a question with the text that is written next: discard the keys typed before it."""

    async def ask(self, question: str, *, secret: bool = False) -> str:
        """Ask a question and return the line that was typed; a `secret` is not shown. Raises EOFError."""

    async def choose(self, question: str) -> str:
        """Ask a question with few answers, which ignores pastes. Raises EOFError."""

    async def ask_text(self, question: str, text: str = "") -> str:
        """Ask for a text of several lines; `text` is what the person starts from. Raises EOFError."""

    async def edit_text(self, text: str, media_type: str) -> str:
        """Let the person edit a text and return it.

        Raises EOFError, NoEditor if the editor cannot be started, OSError if it failed.
        """


class PersonTerminal(Dialogue, Protocol):
    """A dialogue that shows the time left, and notices between questions: lines, or a full screen."""

    person: Identity | None
    """Who is at the terminal, as far as that matters and is known."""

    @property
    def rows(self) -> int:
        """The height of the screen in lines; 0 if prompts are not shown page by page."""

    @property
    def has_editor(self) -> bool:
        """Whether texts are edited in the person's editor."""

    async def ask(self, question: str, left: TimeLeft | None = None, *, secret: bool = False) -> str:
        """Like `Dialogue.ask`, with the time left to answer."""

    async def choose(self, question: str, left: TimeLeft | None = None) -> str:
        """Like `Dialogue.choose`, with the time left to answer."""

    async def ask_text(self, question: str, text: str = "", left: TimeLeft | None = None) -> str:
        """Like `Dialogue.ask_text`, with the time left to answer."""

    def notice(self, text: str, style: str = "") -> None:
        """Write a line while a question is open."""


class NoKeyboard(Exception):
    """The terminal cannot ask a person; the message says what to install."""


class NoEditor(OSError):
    """The person's editor cannot be started; the message says why."""


class Terminal:
    """Standard input and output: a person at a terminal, or a script that writes lines to a pipe.

    Raises NoKeyboard for a terminal without prompt_toolkit: a plain line reader cannot tell pasted or
    typed-ahead text from an answer.
    """

    def __init__(self, writer: Writer | None = None, lines: LineReader | None = None) -> None:
        self.writer: Writer = writer or PlainWriter()
        self.lines = lines or LineReader()
        self.person: Identity | None = None
        self._keyboard = _keyboard() if lines is None and self.lines.is_terminal else None
        self._question: str | None = None
        self._started = False
        self._in_editor = False
        self._pending_notices: list[tuple[str, str]] = []

    @property
    def is_terminal(self) -> bool:
        """Whether standard input is a terminal, where a person types."""
        return self.lines.is_terminal

    @property
    def has_keys(self) -> bool:
        """Whether a person types at a keyboard and can edit the line before Enter."""
        return self._keyboard is not None

    @property
    def rows(self) -> int:
        """The height of the screen in lines; 0 if unknown."""
        return self._size.lines

    @property
    def columns(self) -> int:
        """The width of the screen in columns; 80 if unknown."""
        return self._size.columns or 80

    @property
    def _size(self) -> os.terminal_size:
        if self._keyboard is not None:
            with suppress(OSError):
                return os.get_terminal_size(sys.stdout.fileno())
        return os.terminal_size((0, 0))

    @property
    def has_editor(self) -> bool:
        """Whether texts are edited in $VISUAL or $EDITOR instead of line by line."""
        return bool(self.lines.is_terminal and _editor())

    def start_question(self) -> None:
        """Begin a question with the text that is written next; `ask` or `choose` ends it.

        Keys typed earlier are discarded here. Without this call they are discarded when `ask` or `choose`
        draws its own line.
        """
        if self._keyboard is not None:
            self._keyboard.discard()
            self._started = True

    async def ask(
        self, question: str, left: TimeLeft | None = None, *, secret: bool = False, recall: bool = False
    ) -> str:
        """Ask a question and return the line that was typed. Raises EOFError.

        `left` returns the time left to answer, which a terminal shows while the person types. With `recall`
        the Up key recalls earlier lines of such questions, in this process only.
        """
        return await self._line(question, False, left, secret=secret, recall=recall)

    async def choose(self, question: str, left: TimeLeft | None = None) -> str:
        """Ask a question with few answers, which ignores pastes. Raises EOFError."""
        return await self._line(question, True, left)

    async def ask_text(self, question: str, text: str = "", left: TimeLeft | None = None) -> str:
        """Ask for a text of several lines; `text` is what the person starts from. Raises EOFError."""
        if self._keyboard is None:
            return await read_text_lines(self, question, text)
        self.writer.line("     (several lines; Ctrl-S when you are done)", "quiet")
        started, self._started = self._started, False
        return await self._keyboard.ask_text(flat(question), text, started=started, left=left)

    async def _line(
        self,
        question: str,
        choice: bool,
        left: TimeLeft | None,
        *,
        secret: bool = False,
        recall: bool = False,
    ) -> str:
        if self._keyboard is not None:
            started, self._started = self._started, False
            return await self._keyboard.ask(
                flat(question), choice=choice, secret=secret, recall=recall, started=started, left=left
            )
        self.writer.begin(question)
        self._question = question
        try:
            line = await self.lines.line()
        except BaseException:
            self.writer.line()
            raise
        finally:
            self._question = None
        self.writer.line(HIDDEN if secret else line)  # a pipe does not echo: complete the transcript
        return line

    def notice(self, text: str, style: str = "") -> None:
        """Write a line while a question is open: above the question, or after the editor has ended."""
        if self._in_editor:
            self._pending_notices.append((text, style))
        elif self._keyboard is not None:
            self._keyboard.write_above(lambda: self.writer.line(text, style))
        else:
            if self._question is not None:
                self.writer.line()
            self.writer.line(text, style)
            if self._question is not None:
                self.writer.begin(self._question)

    async def edit_text(self, text: str, media_type: str) -> str:
        """Let the person edit a text in $VISUAL or $EDITOR, or in place if neither is set.

        A script sends the new lines, up to a line with a single dot.
        """
        if self.has_editor:
            return await self._run_editor(_editor_command(), text, media_type)
        return await edit_in_place(self, text)

    async def _run_editor(self, editor: list[str], text: str, media_type: str) -> str:
        with tempfile.TemporaryDirectory(prefix="askback-") as folder:
            path = Path(folder) / f"content{_SUFFIXES.get(media_type, '.txt')}"
            path.write_bytes(text.encode())
            self._in_editor = True
            try:
                try:
                    process = await asyncio.create_subprocess_exec(*editor, str(path))
                except OSError as error:
                    raise NoEditor(f"{editor[0]} cannot be started: {error.strerror}") from None
                try:
                    code = await process.wait()
                except asyncio.CancelledError:
                    process.terminate()
                    await process.wait()
                    raise
            finally:
                self._in_editor = False
                notices, self._pending_notices = self._pending_notices, []
                for line, style in notices:
                    self.notice(line, style)
            if code:
                raise OSError(f"{editor[0]} ended with {code}")
            try:
                return path.read_bytes().decode("utf-8", "replace")
            except OSError as error:
                raise OSError(f"{editor[0]} left no text: {error.strerror}") from None


def _keyboard() -> Keyboard:
    try:
        from askback.terminal.keyboard import Keyboard
    except ModuleNotFoundError as error:
        raise NoKeyboard(
            f"asking a person at a terminal needs {error.name}: pip install 'askback[tui]' "
            "(options answer without it; see --help)"
        ) from None
    if not sys.stdout.isatty():
        raise NoKeyboard("a dialogue needs a terminal for its output too, so that you see what you answer")
    return Keyboard()


def _editor() -> str:
    """The command in $VISUAL or $EDITOR; empty if neither is set."""
    named = (os.environ.get(name, "").strip() for name in ("VISUAL", "EDITOR"))
    return next(filter(None, named), "")


def _editor_command() -> list[str]:
    """The editor's command, split into words. Raises NoEditor."""
    try:
        return shlex.split(_editor())
    except ValueError as error:
        raise NoEditor(f"$VISUAL or $EDITOR is no command, {_editor()}: {error}") from None


async def edit_in_place(dialogue: Dialogue, text: str) -> str:
    """Edit a text without $EDITOR: in place at a keyboard; from a script, lines up to a single dot."""
    if dialogue.has_keys:
        found = await dialogue.ask_text("", text)
        return found if found == text or not text.endswith("\n") else found.rstrip("\n") + "\n"
    dialogue.writer.line(BY_LINES, "quiet")
    return await read_until_dot(dialogue)


async def read_text_lines(dialogue: Dialogue, question: str, text: str) -> str:
    """Read a text of several lines from a script: an empty first line keeps `text`, `-` clears it."""
    dialogue.writer.line("     (several lines; a line with a single dot ends them)", "quiet")
    line = await dialogue.ask(question)
    if not line.strip():
        return text
    if line.strip() == "-" and text:
        return ""
    return line + "\n" + await read_until_dot(dialogue)


async def read_until_dot(dialogue: Dialogue) -> str:
    """Read lines up to a line with a single dot, as one text."""
    lines: list[str] = []
    while (line := await dialogue.ask("> ")) != ".":
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)
