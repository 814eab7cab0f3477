"""Reads the input of a job from the command line: JSON, a file, stdin, or NAME=VALUE pairs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click


def read_source(source: str, option: str) -> str:
    """The text that an option names: `-` is stdin, `@FILE` a file, anything else the text itself.

    Raises click.UsageError.
    """
    if source == "-":
        try:
            return sys.stdin.read()
        except UnicodeDecodeError:
            raise click.UsageError(f"{option}: what stdin has is not UTF-8 text") from None
    return read_text(source[1:], option) if source.startswith("@") else source


def read_text(path: str, option: str) -> str:
    """The text of a file. Raises click.UsageError, with the file name as it was typed."""
    from askback._text.files import read_file

    if not path:
        raise click.UsageError(f"{option}: there is no file name behind the @")
    try:
        return read_file(path).decode("utf-8")
    except OSError as error:
        raise click.UsageError(f"{option}: {error}") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"{option}: {path} is not UTF-8 text") from None


def parse_json(text: str, what: str) -> Any:
    """Parse JSON text strictly, without Python's extensions such as NaN. Raises click.UsageError."""
    from askback._model.json_text import loads_spelled

    try:
        return loads_spelled(text)
    except ValueError as error:
        raise click.UsageError(f"{what} is not JSON: {error}") from None


def job_input(source: str | None, pairs: Sequence[str]) -> Any:
    """The input of a job: `source` (see `read_source`), with `pairs` merged over it.

    `name=text` sets a text, `name:=json` any other value. None for no input. Raises click.UsageError.
    """
    value = None if source is None else parse_json(read_source(source, "--input"), "--input")
    if not pairs:
        return value
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise click.UsageError("NAME=VALUE needs an --input that is an object, or none")
    return {**value, **dict(map(_pair, pairs))}


def labels(pairs: Sequence[str], option: str = "--label") -> dict[str, str]:
    """`NAME=VALUE` options as a mapping. Raises click.UsageError."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise click.UsageError(f"{option} {pair!r} is not NAME=VALUE")
        if found.setdefault(name, value) != value:
            raise click.UsageError(f"{option}: {name} can have one value, not {found[name]!r} and {value!r}")
    return found


def label_conditions(pairs: Sequence[str]) -> dict[str, list[str]]:
    """`--label NAME=VALUE` options of a filter: the allowed values of each label, by its name.

    Raises click.UsageError.
    """
    found: dict[str, list[str]] = {}
    for pair in dict.fromkeys(pairs):
        for name, value in labels([pair]).items():
            found.setdefault(name, []).append(value)
    return found


def _pair(pair: str) -> tuple[str, Any]:
    name, equals, value = pair.partition("=")
    if not equals or name in ("", ":"):
        raise click.UsageError(f"{pair!r} is neither NAME=TEXT nor NAME:=JSON")
    if name.endswith(":"):
        return name[:-1], parse_json(value, pair)
    return name, value
