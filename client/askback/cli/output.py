"""What a command prints: text and tables for people, JSON for programs.

Results go to stdout, notes and errors to stderr. All text passes `clean`: nothing that came from others
can move the cursor, colour the screen or turn a line around.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

from askback.text import clean, clean_json, columns, one_line


def output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json` and `--quiet`."""
    function = click.option("-q", "--quiet", is_flag=True, help="Results only, no notes.")(function)
    return click.option("--json", "as_json", is_flag=True, help="JSON for programs, one object a line.")(
        function
    )


class Output:
    """Where a command's results and notes go."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at stdout."""
        return sys.stdout.isatty()

    @property
    def is_rich(self) -> bool:
        """Whether to draw: text for people, on a terminal, with rich installed."""
        if self.as_json or not self.is_terminal or os.environ.get("TERM") == "dumb":
            return False
        from importlib.util import find_spec

        return find_spec("rich") is not None

    def style(self, text: str, **style: Any) -> str:
        """The text cleaned, and in colour (see click.style) where a terminal shows it."""
        text = clean(text)
        plain = self.as_json or not self.is_terminal or bool(os.environ.get("NO_COLOR"))
        return text if plain else click.style(text, **style)

    def json(self, record: Mapping[str, Any]) -> None:
        """One object on one line of stdout."""
        click.echo(as_json(record))

    def line(self, text: str = "") -> None:
        """A line of the result for people. Foreign text in it must have passed `clean` or `style`."""
        click.echo(text)

    def note(self, text: str) -> None:
        """A line for people on stderr; not with --quiet or --json."""
        if not (self.quiet or self.as_json):
            click.echo(clean(text), err=True)

    def table(self, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows under their columns' names; cells are one line each."""
        cells = [[one_line(cell) for cell in row] for row in rows]
        if self.is_rich:
            _draw(names, cells)
            return
        lines = cells if self.quiet else [list(names), *cells]
        widths = [max((columns(row[i]) for row in lines), default=0) for i in range(len(names))]
        for row in lines:
            padded = (cell + " " * (w - columns(cell)) for cell, w in zip(row, widths, strict=True))
            self.line("  ".join(padded).rstrip())

    def error(self, message: str, **record: Any) -> None:
        """What went wrong, on stderr: a line for people, or with --json `{"error": {"message": …}}`."""
        if self.as_json:
            click.echo(as_json({"error": {"message": message, **record}}), err=True)
        else:
            click.echo(f"askback: {clean(message)}", err=True)

    def interrupted(self, message: str, **record: Any) -> None:
        """What Ctrl-C left behind, on stderr whatever the options: nobody can ask for it later."""
        if self.as_json:
            click.echo(as_json({"interrupted": {"message": message.splitlines()[0], **record}}), err=True)
        else:
            click.echo(clean(message), err=True)


def as_json(record: Mapping[str, Any]) -> str:
    """The record as one line of JSON that a terminal shows without harm."""
    from askback.json_text import dumps

    return clean_json(dumps(record, spaced=True))


def _draw(names: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in names:
        table.add_column(column, overflow="fold", no_wrap=column in ("JOB", "PROMPT"))
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)
