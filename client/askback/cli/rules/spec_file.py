"""Reads what a rule says from a file, TOML or JSON, and writes it as JSON."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import click

from askback.cli.job_input import parse_json, read_source

if TYPE_CHECKING:
    from askback._model.rule_specs import RuleSpec


def read_spec(path: str, **replaced: Any) -> RuleSpec:
    """The rule of a file, `-` for stdin, with those fields of `replaced` that are not None.

    The text is JSON if it begins with a brace, else TOML. Raises click.UsageError.
    """
    from askback._model.rule_specs import RuleSpec

    text = read_source("-" if path == "-" else f"@{path.removeprefix('@')}", "the file")
    if text.lstrip().startswith("{"):
        fields = parse_json(text, "the file")
    else:
        try:
            fields = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise click.UsageError(f"the file is neither TOML nor JSON: {error}") from None
    given = {name: value for name, value in replaced.items() if value is not None}
    try:
        return RuleSpec(fields | given)
    except (TypeError, ValueError) as error:
        raise click.UsageError(f"the file: {error}") from None


def spec_text(spec: RuleSpec) -> str:
    """What a rule says as indented JSON, which `read_spec` reads."""
    from askback._model.json_text import dumps

    fields = spec.fields()
    try:
        return json.dumps(fields, indent=2)
    except TypeError:  # a number with more digits than a float holds
        return dumps(fields)
