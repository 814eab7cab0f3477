"""Messages about wrong usage: one line for the error, a second one for the way out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click
from click.core import ParameterSource
from click.exceptions import NoSuchOption

from askback._text.text import clean

_HELP_INSTEAD = getattr(click.exceptions, "NoArgsIsHelpError", ())  # click 8.2


def show_usage_error(error: click.ClickException) -> None:
    """Print the error on stderr. A group that was called without a command prints its help."""
    if isinstance(error, _HELP_INSTEAD):
        error.show()
        return
    lines = [f"askback: {_message(error)}"]
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None and not lines[0].endswith("?"):
        lines.append(f"  (see `{context.command_path} --help`)")
    for line in lines:
        click.echo(clean(line), err=True)


def unknown_command(
    context: click.Context, name: str, known: Iterable[str], nested: Mapping[str, str]
) -> str:
    """The message for an unknown command of a group, with a suggestion.

    `nested` has the paths of the commands in the groups below it by name, such as `ls`: `inbox ls`.
    """
    path = context.command_path
    near = [f"{path} {found}" for found in close_matches(name, known)]
    if name in nested and not near:
        near = [f"{path} {nested[name]}"]
    return f"there is no command {name!r}" + did_you_mean(near)


def close_matches(word: str, known: Iterable[str]) -> list[str]:
    """At most two of the known words that resemble the word, the most likely one first."""
    from difflib import get_close_matches

    known = list(known)
    begun = [name for name in known if len(word) > 1 and name.startswith(word)]
    return list(dict.fromkeys([*begun, *get_close_matches(word, known, 2, 0.65)]))[:2]


def did_you_mean(words: Iterable[str]) -> str:
    """`; did you mean --state?`; empty for no words."""
    text = " or ".join(words)
    return f"; did you mean {text}?" if text else ""


def _message(error: click.ClickException) -> str:
    """The error in one line."""
    if isinstance(error, NoSuchOption):
        options = _options(error.ctx)
        bare = {option.lstrip("-"): option for option in options}
        near = [bare[name] for name in close_matches(error.option_name.lstrip("-"), bare)]
        return f"there is no option {error.option_name}" + did_you_mean(near)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return f"{_name(error.param, None)} is missing"
    if isinstance(error, click.BadParameter) and error.param is not None:
        name = _name(error.param, error.ctx)
        kind = error.param.type
        if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
            return f"{name} must be {_number_words(kind)} (not {_value(error.message)})"
        if isinstance(kind, click.Choice) and " is not one of " in error.message:
            # click quotes every choice, which reads badly from five on.
            offered = ", ".join(map(str, kind.choices))
            return f"{name} must be one of: {offered} (not {_value(error.message)})"
        return f"{name}: {error.message}"
    if isinstance(error, click.BadOptionUsage):
        needs = "requires an argument" in error.message
        return f"{error.option_name} needs a value" if needs else f"{error.option_name} takes no value"
    text = error.format_message().rstrip(".")
    return text[:1].lower() + text[1:]


def _value(message: str) -> str:
    """The value at the start of click's message, such as `'x' is not a valid integer.`."""
    return message.partition(" is not ")[0]


def _number_words(kind: Any) -> str:
    """The values that a numeric option accepts: `a whole number from 1 to 10`."""
    noun = "a whole number" if isinstance(kind, click.types.IntParamType) else "a number"
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    if low is not None and high is not None:
        return f"{noun} from {low:g} to {high:g}"
    return f"{noun}, at least {low:g}" if low is not None else noun


def _options(context: click.Context | None) -> list[str]:
    """The long options of a command."""
    if context is None:
        return []
    found = [option for p in context.command.get_params(context) for option in (*p.opts, *p.secondary_opts)]
    return [option for option in found if option.startswith("--")]


def _name(parameter: click.Parameter, context: click.Context | None) -> str:
    """The name of a parameter for people: `--kind`, `TITLE`, or the environment variable that set it."""
    if context is not None and parameter.name is not None:
        source = context.get_parameter_source(parameter.name)
        if source is ParameterSource.ENVIRONMENT and isinstance(parameter.envvar, str):
            return parameter.envvar
    return parameter_name(parameter)


def parameter_name(parameter: click.Parameter) -> str:
    """The name of a parameter on the command line: `--kind` or `TITLE`."""
    if isinstance(parameter, click.Argument):
        return parameter.human_readable_name.strip("[]").removesuffix("...")
    return next((option for option in parameter.opts if option.startswith("--")), parameter.opts[0])
