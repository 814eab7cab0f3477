"""The selected prompt, and which part of it was on the screen."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console as RichConsole
from rich.text import Text
from textual.containers import VerticalScroll
from textual.widgets import Static

from askback._model.identity import Identity
from askback._model.prompts import PromptInfo
from askback._model.shown import shows_same
from askback.terminal import words
from askback.terminal.prompt_list import Row
from askback.terminal.prompt_text import write_answer, write_prompt
from askback.terminal.writer import RichWriter

_MARGIN = 2
"""Columns of the scroll bar."""


def writer_on(stream: io.StringIO, width: int, *, colours: bool) -> RichWriter:
    """A writer that draws for a part of the screen with this width."""
    model = RichConsole(file=stream, width=max(width, 20), color_system="standard" if colours else None)
    return RichWriter(stream, model)


def _shows_same(before: PromptInfo | None, now: PromptInfo | None) -> bool:
    if before is None or now is None:
        return before is now
    return before.prompt_id == now.prompt_id and shows_same(before, now)


class PromptView(VerticalScroll, can_focus=False):
    """Shows one prompt whole, to scroll in."""

    def __init__(self, person: Identity | None = None) -> None:
        self._person = person
        self._text = Static(id="prompt-text", markup=False)
        super().__init__(self._text, id="prompt")
        self._painted: tuple[object, ...] = ()
        self._about: PromptInfo | None = None
        self._omitted: tuple[str, ...] = ()
        self._seen_to = 0

    def on_mount(self) -> None:
        """Follow the scrolling."""
        self.watch(self, "scroll_y", self._note_seen, init=False)

    def show(self, row: Row[Any] | None) -> bool:
        """Show a prompt's newest state. Return whether its content is another than before."""
        width = self.size.width - _MARGIN
        painted = () if row is None else (row, row.prompt.proto.version, row.closing, width)
        if painted == self._painted:
            return False
        self._painted = painted
        about = None if row is None else row.prompt
        is_other, self._about = not _shows_same(self._about, about), about
        self._text.update(self._draw(row, width))
        if is_other:
            self._seen_to = 0
            self.scroll_home(animate=False)
        self.call_after_refresh(self._note_seen)
        return is_other

    def unseen(self) -> tuple[str, ...]:
        """What the person was not shown of this content, in words."""
        self._note_seen()
        total = self.virtual_size.height
        left = total - self._seen_to
        return (f"the last {left} of {total} lines", *self._omitted) if left > 0 else self._omitted

    def _draw(self, row: Row[Any] | None, width: int) -> Text:
        self._omitted = ()
        if row is None:
            return Text("j and k move to a prompt, ? shows the keys", "dim")
        stream = io.StringIO()
        writer = writer_on(stream, width, colours=not self.app.no_color)
        at = words.now()
        if row.closing is not None:
            writer.wrap(f"+ {row.status_words(at)}. Its keys do nothing; j goes on.", "warning", "  ")
            if row.closing.resolution is not None and row.closing.resolution.answer is not None:
                write_answer(writer, row.closing.resolution.answer, at)
            writer.line()
        self._omitted = write_prompt(writer, row.prompt, at, full=True, asking=True, person=self._person)
        return Text.from_ansi(stream.getvalue())

    def _note_seen(self) -> None:
        self._seen_to = max(self._seen_to, int(self.scroll_y) + self.size.height)
