"""The settings' page: flag, environment, file and default of each, from the server's Config."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import griffe

from askback.cli import main
from askback_server.config import Config
from scripts.reference.tables import table

SERVER = Path(__file__).resolve().parents[2] / "server"


def lines() -> Iterator[str]:
    """The page."""
    members = griffe.load("askback_server.config", search_paths=[str(SERVER)])["Config"].members
    yield "# Settings of the server"
    yield ""
    yield (
        "`askback serve` reads each setting from its flag, else from the environment, else it takes the "
        "default. A wrong setting ends the start with exit code 2 and a message that names it. Times are "
        "seconds."
    )
    yield ""
    flags = _flags()
    rows = []
    for field in fields(Config):
        flag, help = flags.get(field.name, ("", ""))
        about = members[field.name].docstring
        said = about.value if about else re.sub(r"\s*\[default: [^]]*]", "", help)
        default = getattr(Config(), field.name)
        rows.append(
            (
                f"`{flag}`" if flag else "",
                f"`ASKBACK_{field.name.upper()}`",
                _default(default),
                said,
            )
        )
    yield from table(["flag", "environment", "default", "meaning"], rows)


def _flags() -> dict[str, tuple[str, str]]:
    """Field -> its flag and what `askback serve --help` says."""
    context = click.Context(main, info_name="askback")
    serve = main.get_command(context, "serve")
    assert serve is not None
    options = [p for p in serve.params if isinstance(p, click.Option)]
    return {str(option.name): (option.opts[0], option.help or "") for option in options}


def _default(value: object) -> str:
    if value in ("", None):
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
