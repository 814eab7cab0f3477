"""Prints text and tables for people, JSON and tab-separated lines for programs.

Results go to stdout, notes and errors to stderr. All text passes `clean`: foreign text cannot move the
cursor, colour the screen or reverse a line.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import click

from askback._text.text import clean, clean_json, one_line

if TYPE_CHECKING:
    from askback._text.table import Column


class Format(StrEnum):
    """The format of lists and records."""

    TABLE = "table"
    JSON = "json"
    TSV = "tsv"


def output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `-o`, `--json`, `--quiet` and `--verbose`, and call the function with `out`, an Output.

    Raises click.UsageError if --json and -o contradict each other.
    """

    @click.option(
        "-o",
        "--output",
        "output_format",
        type=click.Choice([str(form) for form in Format]),
        help="How lists and records are printed: json is one object a line, tsv has tabs between its fields, "
        "whole ids, exact times and no header. [default: table on a terminal, else tsv for lists]",
    )
    @click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
    @click.option("-q", "--quiet", is_flag=True, help="Results only, no notes.")
    @click.option("-v", "--verbose", is_flag=True, help="More: exact times, whole ids, every event.")
    @functools.wraps(function)
    def with_output(
        *, output_format: str | None, as_json: bool, quiet: bool, verbose: bool, **options: Any
    ) -> Any:
        if as_json and output_format not in (None, Format.JSON):
            raise click.UsageError(f"--json and -o {output_format} contradict each other")
        chosen = Format.JSON if as_json else Format(output_format) if output_format else None
        return function(out=Output(chosen, quiet=quiet, verbose=verbose), **options)

    return with_output


class Output:
    """Prints a command's results and notes.

    Without a `form` stdout decides: a table on a terminal, else tab-separated lines.
    """

    def __init__(self, form: Format | None = None, *, quiet: bool = False, verbose: bool = False) -> None:
        self.form = form
        self.quiet = quiet
        self.verbose = verbose
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")

    @property
    def as_json(self) -> bool:
        """Whether JSON was requested."""
        return self.form is Format.JSON

    @property
    def as_tsv(self) -> bool:
        """Whether lists are tab-separated lines: requested, or stdout is not a terminal."""
        return self.form is Format.TSV or (self.form is None and not self.is_terminal)

    @property
    def as_record(self) -> bool:
        """Whether a single item is printed by `record`: JSON or tsv was requested."""
        return self.form in (Format.JSON, Format.TSV)

    @property
    def is_terminal(self) -> bool:
        """Whether stdout is a terminal."""
        return sys.stdout.isatty()

    @property
    def width(self) -> int:
        """The maximum width of a line; 0 for no limit."""
        if self.is_terminal:
            return shutil.get_terminal_size().columns
        columns = os.environ.get("COLUMNS", "")
        return int(columns) if columns.isdecimal() else 0

    @property
    def is_rich(self) -> bool:
        """Whether to render with rich: for people, on a terminal, if rich is installed."""
        if self.as_record or not self.is_terminal or os.environ.get("TERM") == "dumb":
            return False
        from importlib.util import find_spec

        return find_spec("rich") is not None

    @property
    def is_coloured(self) -> bool:
        """Whether colours are shown."""
        plain = self.as_record or not self.is_terminal or os.environ.get("TERM") == "dumb"
        return not (plain or os.environ.get("NO_COLOR"))

    def style(self, text: str, **style: Any) -> str:
        """The clean text, with colours (see click.style) if the terminal shows them."""
        return self._colour(clean(text), **style)

    def _colour(self, text: str, **style: Any) -> str:
        return click.style(text, **style) if self.is_coloured else text

    def json(self, record: Mapping[str, Any]) -> None:
        """Print one object on one line of stdout."""
        click.echo(as_json(record))

    def record(self, record: Mapping[str, Any]) -> None:
        """Print a single item for a program: a JSON object, or for tsv a line NAME<tab>VALUE for each member.

        In tsv a value that is not a text is JSON.
        """
        if self.as_json:
            self.json(record)
            return
        for name, value in record.items():
            self.tsv([name, value if isinstance(value, str) else as_json(value)])

    def tsv(self, cells: Sequence[object]) -> None:
        """Print one tab-separated line: no padding, no colour, nothing cut."""
        click.echo("\t".join(one_line(cell) for cell in cells))

    def line(self, text: str = "") -> None:
        """Print a line of the result for people. Foreign text in it must have passed `clean` or `style`."""
        click.echo(text)

    def note(self, text: str) -> None:
        """Print a line for people on stderr, unless --quiet or --json is given."""
        if not (self.quiet or self.as_json):
            click.echo(clean(text), err=True)

    def fields(self, pairs: Sequence[tuple[str, str]], indent: str = "") -> None:
        """Print names and values for people, without the empty ones.

        They are aligned on a terminal, else separated by a tab. Values must have passed `clean`.
        """
        shown = [(name, value) for name, value in pairs if value]
        if self.as_tsv:
            for name, value in shown:
                self.line(f"{name}\t{value}")
            return
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            self.line(f"{indent}{self._colour(name.ljust(width), dim=True)}  {value}")

    def table(self, columns: Sequence[Column]) -> None:
        """Print the columns that fit, under their names (see `askback._text.table`); nothing without a row.

        With --verbose no cell is cut and no column is left out.
        """
        from askback._text.table import layout, plain

        if not columns or not columns[0].cells:
            return
        width = 0 if self.verbose else self.width
        head, *rows = layout(columns, width)
        if not self.quiet:
            self.line(self._colour(plain(head, width), bold=True))
        for row in rows:
            self.line(plain(row, width))

    def error(self, message: str, **record: Any) -> None:
        """Print an error on stderr: a line for people, or with --json `{"error": {"message": …}}`."""
        if self.as_json:
            click.echo(as_json({"error": {"message": message, **record}}), err=True)
        else:
            click.echo(f"askback: {clean(message)}", err=True)

    def report_interrupt(self, message: str, **record: Any) -> None:
        """Print what Ctrl-C left behind on stderr, also with --quiet: it cannot be requested later."""
        if self.as_json:
            click.echo(as_json({"interrupted": {"message": message.splitlines()[0], **record}}), err=True)
        else:
            click.echo(clean(message), err=True)


def as_json(record: Any) -> str:
    """A JSON value on one line, safe for a terminal."""
    from askback._model.json_text import dumps

    return clean_json(dumps(record, spaced=True))
