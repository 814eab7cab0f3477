"""Where lines go: with colours on a terminal, plain anywhere else. All text passes `clean` here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from askback.text import clean

if TYPE_CHECKING:
    from rich.console import Console

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
    """Takes lines. What they hold may come from anybody: it is cleaned on the way."""

    def line(self, text: str = "", style: str = "") -> None:
        """One line; line ends in the text become spaces."""

    def block(self, text: str, style: str = "", indent: str = "") -> None:
        """Text of several lines."""

    def markdown(self, text: str, indent: str = "") -> None:
        """Markdown: rendered where there are colours, else as it was written."""

    def begin(self, text: str) -> None:
        """The beginning of a line that a person goes on with."""

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
        self._write(_flat(text) + "\n")

    def block(self, text: str, style: str = "", indent: str = "") -> None:
        """Text of several lines."""
        self._write("".join(f"{indent}{line}\n" for line in clean(text).splitlines()))

    def markdown(self, text: str, indent: str = "") -> None:
        """Markdown as it was written."""
        self.block(text, indent=indent)

    def begin(self, text: str) -> None:
        """The beginning of a line."""
        self._write(_flat(text))

    def bell(self) -> None:
        """Ring."""
        self._write("\a")

    def _write(self, text: str) -> None:
        encoding = self._out.encoding or "utf-8"
        self._out.write(text.encode(encoding, "replace").decode(encoding, "replace"))
        self._out.flush()


class RichPaper:
    """Lines with colours by rich."""

    def __init__(self, stream: TextIO | None = None) -> None:
        from rich.console import Console

        self._console: Console = Console(file=stream, highlight=False, markup=False, emoji=False)

    def line(self, text: str = "", style: str = "") -> None:
        """One line."""
        self._print(_flat(text), style)

    def block(self, text: str, style: str = "", indent: str = "") -> None:
        """Text of several lines."""
        for line in clean(text).splitlines():
            self._print(indent + line, style)

    def markdown(self, text: str, indent: str = "") -> None:
        """Markdown, rendered. Links show their addresses, and what entities stand for is cleaned too."""
        from markdown_it import MarkdownIt
        from rich.markdown import Markdown

        text = clean(text)
        document = Markdown(text, hyperlinks=False)
        # HTML is shown as it was written: rich would leave it out, and nobody approves what is not shown.
        document.parsed = (
            MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).parse(text)
        )
        self._console.print(_Cleaned(document, indent))

    def begin(self, text: str) -> None:
        """The beginning of a line."""
        self._console.print(_flat(text), style="bold", end="", soft_wrap=True)
        self._console.file.flush()

    def bell(self) -> None:
        """Ring."""
        self._console.bell()

    def _print(self, text: str, style: str) -> None:
        self._console.print(text, style=STYLES[style], soft_wrap=True)


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
                yield Segment(clean(segment.text), segment.style)
            yield Segment.line()


def _flat(text: str) -> str:
    """The text cleaned and without line ends, its spaces kept."""
    return clean(text).replace("\n", " ")


def paper(*, plain: bool = False, stream: TextIO | None = None) -> Paper:
    """The paper that fits the stream (stdout if not given): colours need a terminal and rich."""
    out = stream or sys.stdout
    if plain or not out.isatty():
        return PlainPaper(stream)
    try:
        return RichPaper(stream)
    except ModuleNotFoundError:
        return PlainPaper(stream)
