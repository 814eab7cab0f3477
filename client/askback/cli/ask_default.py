"""The choices of `askback ask`, and the default answer for its deadline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click


def parse_choices(choices: Sequence[str]) -> dict[str, str]:
    """The titles by value of `--choice VALUE[=TITLE]`; a missing title is empty.

    A single option without a title may list several values: `a,b,c`. Raises click.UsageError.
    """
    if len(choices) == 1 and "=" not in choices[0]:
        choices = choices[0].split(",")
    offered: dict[str, str] = {}
    for choice in choices:
        value, _, title = choice.partition("=")
        value = value.strip()
        if not value:
            raise click.UsageError(f"--choice {choice!r} has no value: write VALUE or VALUE=TITLE")
        if value in offered:
            raise click.UsageError(f"--choice: {value!r} is there twice")
        offered[value] = title.strip()
    return offered


def default_answer(
    text: str, kind: str, offered: Mapping[str, str] | None, form: str | None, *, approved: bool
) -> Any:
    """The `default` argument of the SDK's `ask` for `--default TEXT`. Raises click.UsageError.

    The text is one of the `offered` choices, the values of the `form` as a JSON object (or @FILE), any text
    for a clarify prompt without choices and form, else yes or no. Of a question that several people must
    approve (`approved`) it can only be no.
    """
    from askback._model.content import Default
    from askback._model.enums import DecisionKind
    from askback._model.form import VALUE

    if approved:
        if text != "no":
            raise click.UsageError(
                f"--default can only be no where people must approve, not {text!r}: silence approves nothing"
            )
        return False
    if offered is not None:
        value = text if text in offered else next((v for v, title in offered.items() if title == text), None)
        if value is None:
            raise click.UsageError(f"--default must be one of: {', '.join(offered)} (not {text!r})")
        return {VALUE: value}
    if form:
        return _values(text)
    if kind == "clarify":
        if not text.strip():
            raise click.UsageError("--default is empty")
        return Default(DecisionKind.RESPOND, comment=text)
    if text not in ("yes", "no"):
        raise click.UsageError(f"--default must be one of: yes, no (not {text!r})")
    return text == "yes"


def _values(text: str) -> dict[str, Any]:
    """Parse the form's values of a default."""
    from askback.cli.job_input import parse_json, read_source

    try:
        values = parse_json(read_source(text, "--default"), "--default")
    except click.UsageError as error:
        if text.startswith("@"):
            raise
        raise click.UsageError(
            f'{error.message}; with --form it is an object of values, for example \'{{"name": "value"}}\''
        ) from None
    if not isinstance(values, dict):
        raise click.UsageError("--default: with --form it is a JSON object of values")
    return values


def choice_question(title: str, offered: Mapping[str, str]) -> Any:
    """The form's only question, a choice; `offered` has the titles by value."""
    from askback._model.form import VALUE
    from askback.v1 import prompt_pb2 as pb

    return pb.Question(
        question_id=VALUE,
        title=title,
        required=True,
        single=pb.SingleInput(options=[pb.Option(value=v, title=text) for v, text in offered.items()]),
    )
