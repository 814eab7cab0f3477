"""Where lines go: with colours on a terminal, plain anywhere else. All text passes `clean` here."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TextIO

from askback._text.text import clean, visible

if TYPE_CHECKING:
    from rich.console import Console

_SGR = re.compile(r"\x1b\[[0-9;]*m")
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)[A-Za-z0-9_+-]{0,20}[ ]*$", re.MULTILINE)
"""A fence with the name of a language, which is drawn as colours."""
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
"""Names of styles. A colour is never the only signal: the words say the same."""


class Paper(Protocol):
    """Takes lines. Their text may come from any caller, and is cleaned on the way."""

    def line(self, text: str = "", style: str = "") -> None:
        """One line; line ends in the text become spaces."""

    def block(self, text: str, style: str = "", indent: str = "") -> None:
        """Text of several lines."""

    def markdown(self, text: str, indent: str = "") -> None:
        """Markdown: rendered where there are colours, else as it was written."""

    def begin(self, text: str) -> None:
        """The beginning of a line that a person goes on with."""

    def raw(self, text: str) -> None:
        """Text that this paper or its like has written elsewhere, or that was laid out of clean parts."""

    def like(self, stream: TextIO) -> Paper:
        """A paper that writes the same on another stream."""

    def bell(self) -> None:
        """Ring."""


class PlainPaper:
    """Lines as they are: for pipes, logs and screen readers."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    @property
    def _out(self) -> TextIO:
        return self._stream or sys.stdout

    def line(self, text: str = "", style: str = "") -> None:
        """One line."""
        self._write(flat(text) + "\n")

    def block(self, text: str, style: str = "", indent: str = "") -> None:
        """Text of several lines."""
        self._write("".join(f"{indent}{line}\n" for line in clean(text).splitlines()))

    def markdown(self, text: str, indent: str = "") -> None:
        """Markdown as it was written."""
        self.block(text, indent=indent)

    def begin(self, text: str) -> None:
        """The beginning of a line."""
        self._write(flat(text))

    def raw(self, text: str) -> None:
        """Text that was cleaned already."""
        self._write(text)

    def like(self, stream: TextIO) -> PlainPaper:
        """The same on another stream."""
        return PlainPaper(stream)

    def bell(self) -> None:
        """Ring."""
        self._write("\a")

    def _write(self, text: str) -> None:
        encoding = self._out.encoding or "utf-8"
        self._out.write(text.encode(encoding, "replace").decode(encoding, "replace"))
        self._out.flush()


class RichPaper:
    """Lines with colours by rich."""

    def __init__(self, stream: TextIO | None = None, model: Console | None = None) -> None:
        from rich.console import Console

        drawing: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
        if model is not None:
            drawing |= {"force_terminal": True, "width": model.width, "no_color": model.no_color}
            drawing["color_system"] = model.color_system
        self._console: Console = Console(file=stream, **drawing)

    def line(self, text: str = "", style: str = "") -> None:
        """One line."""
        self._print(flat(text), style)

    def block(self, text: str, style: str = "", indent: str = "") -> None:
        """Text of several lines."""
        for line in clean(text).splitlines():
            self._print(indent + line, style)

    def markdown(self, text: str, indent: str = "") -> None:
        """Markdown, rendered, if that leaves nothing out; else as it was written."""
        text = clean(text)
        document = _document(text)
        document.parsed = _parser().parse(text)
        with self._console.capture() as capture:
            self._console.print(_Cleaned(document, indent))
        drawn = capture.get()
        if _is_whole(text, _SGR.sub("", drawn)):
            self.raw(drawn)
        else:
            self.block(text, indent=indent)

    def raw(self, text: str) -> None:
        """Text that was drawn already."""
        self._console.file.write(text)
        self._console.file.flush()

    def like(self, stream: TextIO) -> RichPaper:
        """The same on another stream."""
        return RichPaper(stream, self._console)

    def begin(self, text: str) -> None:
        """The beginning of a line."""
        self._console.print(flat(text), style="bold", end="", soft_wrap=True)
        self._console.file.flush()

    def bell(self) -> None:
        """Ring."""
        self._console.bell()

    def _print(self, text: str, style: str) -> None:
        self._console.print(text, style=STYLES[style], soft_wrap=True)


def _document(text: str) -> Any:
    """Markdown for rich: links show their addresses, and headings stand at the left like the rest."""
    from rich.markdown import Heading, Markdown

    class _Heading(Heading):
        def __rich_console__(self, console: Any, options: Any) -> Any:
            self.text.justify = "left"
            yield self.text

    class _Document(Markdown):
        elements: ClassVar[Any] = {**Markdown.elements, "heading_open": _Heading}

    return _Document(text, hyperlinks=False)


def _parser() -> Any:
    """Of the Markdown that is rendered. HTML is shown as it was written, which rich would leave out."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])


def _is_whole(written: str, drawn: str) -> bool:
    """Whether every letter and digit of the Markdown is in what was drawn of it, in the same order.

    Rendering drops definitions that are not used, titles of links, what stands after a fence, and what does
    not fit into a table. Nothing is approved that was not shown.
    """
    letters = (letter for letter in drawn if letter.isalnum())
    source = _FENCE.sub("", written)
    return all(letter in letters for letter in source if letter.isalnum())


class _Cleaned:
    """Lines of a renderable, indented, and cleaned once more: `&#x202e;` is an override by now."""

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


def flat(text: str) -> str:
    """The text cleaned and without line ends, its spaces kept."""
    return clean(text.replace("\r\n", "\n").replace("\n", " "))


def paper(*, plain: bool = False, stream: TextIO | None = None) -> Paper:
    """The paper that fits the stream (stdout if not given): colours need a terminal and rich."""
    out = stream or sys.stdout
    if plain or not out.isatty():
        return PlainPaper(stream)
    try:
        return RichPaper(stream)
    except ModuleNotFoundError:
        return PlainPaper(stream)
