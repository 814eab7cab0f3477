"""Writes lines: with colours on a terminal, plain anywhere else. All text passes `clean` here."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TextIO

from askback._text.text import clean, columns, visible

if TYPE_CHECKING:
    from rich.console import Console

_SGR = re.compile(r"\x1b\[[0-9;]*m")
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)[A-Za-z0-9_+-]{0,20}[ ]*$", re.MULTILINE)
"""A fence with the name of a language; the name is drawn as colours, not as text."""
STYLES = {
    "": "",
    "title": "bold",
    "name": "cyan",
    "quiet": "dim",
    "good": "green",
    "warning": "yellow",
    "error": "bold red",
    "added": "green",
    "removed": "red",
    "hunk": "cyan",
}
"""Styles by name. A colour is never the only signal: the text says the same."""


class Writer(Protocol):
    """Writes lines of text, which may come from others: it is cleaned on the way."""

    def line(self, text: str = "", style: str = "") -> None:
        """Write one line; line ends in the text become spaces."""

    def wrap(self, text: str, style: str = "", indent: str = "") -> None:
        """Write one line, broken between words if the screen is narrower; further lines have the indent."""

    def block(self, text: str, style: str = "", indent: str = "") -> None:
        """Write a text of several lines."""

    def markdown(self, text: str, indent: str = "") -> None:
        """Write Markdown, rendered if there are colours, else as it is."""

    def begin(self, text: str) -> None:
        """Write the beginning of a line, which a person continues."""

    def raw(self, text: str) -> None:
        """Write text as it is: it came from a writer, or consists of clean parts."""

    def like(self, stream: TextIO) -> Writer:
        """A writer of the same kind for another stream."""

    def bell(self) -> None:
        """Ring the terminal's bell."""


class PlainWriter:
    """Writes plain lines, for pipes, logs and screen readers."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    @property
    def _out(self) -> TextIO:
        return self._stream or sys.stdout

    def line(self, text: str = "", style: str = "") -> None:
        """Write one line."""
        self._write(flat(text) + "\n")

    def wrap(self, text: str, style: str = "", indent: str = "") -> None:
        """Write one line: there is no screen whose width is known."""
        self.line(text, style)

    def block(self, text: str, style: str = "", indent: str = "") -> None:
        """Write a text of several lines."""
        self._write("".join(f"{indent}{line}\n" for line in clean(text).splitlines()))

    def markdown(self, text: str, indent: str = "") -> None:
        """Write Markdown as it is."""
        self.block(text, indent=indent)

    def begin(self, text: str) -> None:
        """Write the beginning of a line."""
        self._write(flat(text))

    def raw(self, text: str) -> None:
        """Write text that is clean already."""
        self._write(text)

    def like(self, stream: TextIO) -> PlainWriter:
        """A writer of the same kind for another stream."""
        return PlainWriter(stream)

    def bell(self) -> None:
        """Ring the terminal's bell."""
        self._write("\a")

    def _write(self, text: str) -> None:
        encoding = self._out.encoding or "utf-8"
        self._out.write(text.encode(encoding, "replace").decode(encoding, "replace"))
        self._out.flush()


class RichWriter:
    """Writes lines with colours, using rich."""

    def __init__(self, stream: TextIO | None = None, model: Console | None = None) -> None:
        from rich.console import Console

        drawing: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
        if model is not None:
            drawing |= {"force_terminal": True, "width": model.width, "no_color": model.no_color}
            drawing["color_system"] = model.color_system
        self._console: Console = Console(file=stream, **drawing)

    def line(self, text: str = "", style: str = "") -> None:
        """Write one line."""
        self._print(flat(text), style)

    def wrap(self, text: str, style: str = "", indent: str = "") -> None:
        """Write one line, broken between words if the screen is narrower; further lines have the indent."""
        for line in _break_words(flat(text), self._console.width, indent):
            self._print(line, style)

    def block(self, text: str, style: str = "", indent: str = "") -> None:
        """Write a text of several lines."""
        for line in clean(text).splitlines():
            self._print(indent + line, style)

    def markdown(self, text: str, indent: str = "") -> None:
        """Write Markdown, rendered if that omits nothing, else as it is."""
        text = clean(text)
        document = _document(text)
        document.parsed = _parser().parse(text)
        with self._console.capture() as capture:
            self._console.print(_Cleaned(document, indent))
        drawn = capture.get()
        if _is_complete(text, _SGR.sub("", drawn)):
            self.raw(drawn)
        else:
            self.block(text, indent=indent)

    def raw(self, text: str) -> None:
        """Write text that is rendered already."""
        self._console.file.write(text)
        self._console.file.flush()

    def fit(self, width: int) -> None:
        """Break lines at this width from now on, in columns."""
        self._console.width = width

    def like(self, stream: TextIO) -> RichWriter:
        """A writer of the same kind for another stream."""
        return RichWriter(stream, self._console)

    def begin(self, text: str) -> None:
        """Write the beginning of a line."""
        self._console.print(flat(text), style="bold", end="", soft_wrap=True)
        self._console.file.flush()

    def bell(self) -> None:
        """Ring the terminal's bell."""
        self._console.bell()

    def _print(self, text: str, style: str) -> None:
        self._console.print(text, style=STYLES[style], soft_wrap=True)


def _document(text: str) -> Any:
    """Markdown for rich, with the addresses of links, and headings aligned left like the rest."""
    from rich.markdown import Heading, Markdown

    class _Heading(Heading):
        def __rich_console__(self, console: Any, options: Any) -> Any:
            self.text.justify = "left"
            yield self.text

    class _Document(Markdown):
        elements: ClassVar[Any] = {**Markdown.elements, "heading_open": _Heading}

    return _Document(text, hyperlinks=False)


def _parser() -> Any:
    """The Markdown parser. It treats HTML as text, because rich would omit it."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])


def _is_complete(written: str, drawn: str) -> bool:
    """Whether every letter and digit of the Markdown is in the rendered text, in the same order.

    Rendering drops unused definitions, titles of links, text after a fence, and text that does not fit into
    a table. A person must not approve text that was not shown.
    """
    letters = (letter for letter in drawn if letter.isalnum())
    source = _FENCE.sub("", written)
    return all(letter in letters for letter in source if letter.isalnum())


class _Cleaned:
    """Indents the lines of a renderable and cleans them again: parsing turns `&#x202e;` into an override."""

    def __init__(self, inner: Any, indent: str) -> None:
        self._inner = inner
        self._indent = indent

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from rich.segment import Segment

        within = options.update(width=max(options.max_width - len(self._indent), 1))
        for line in console.render_lines(self._inner, within, pad=False):
            yield Segment(self._indent)
            for segment in line:
                yield Segment(visible(segment.text), segment.style)
            yield Segment.line()


def _break_words(text: str, width: int, indent: str) -> Iterator[str]:
    """The text in lines of at most `width` columns; only a word that is longer than a line exceeds it."""
    line = ""
    for number, word in enumerate(text.split(" ")):
        longer = f"{line} {word}" if number else word
        if line.strip() and columns(longer) > width:
            yield line
            line = indent + word
        else:
            line = longer
    yield line


def flat(text: str) -> str:
    """The text, clean and with spaces for its line ends; runs of spaces stay."""
    return clean(text.replace("\r\n", "\n").replace("\n", " "))


def writer_for(*, plain: bool = False, stream: TextIO | None = None) -> Writer:
    """The writer for a stream (stdout if not given); colours need a terminal and rich."""
    out = stream or sys.stdout
    if plain or not out.isatty():
        return PlainWriter(stream)
    try:
        return RichWriter(stream)
    except ModuleNotFoundError:
        return PlainWriter(stream)
