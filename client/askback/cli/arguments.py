"""The argument or option behind a field of a request: `prompt.title` is TITLE, `filter.labels` is --label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import click

from askback.cli.usage import parameter_name
from askback.errors import AskbackError, Violation

_WRAPPERS = frozenset({"prompt", "content", "filter", "job", "frames"})
"""Messages that only contain fields; no argument or option stands for them."""
_PARAMETERS = {
    "at_time": "at",
    "audience": "to",
    "default_answer": "default",
    "duration": "span",
    "escalation": "steps",
    "group": "in_group",
    "groups": "in_groups",
    "input_json": "source",
    "key": "prompt",
    "labels": "label_pairs",
    "questions": "choices",
    "reminders": "remind",
    "run_timeout": "run_timeout",
    "schema_json": "form",
    "start_delay": "delay",
    "timeout": "deadline",
    "user_ids": "owners",
    "values_json": "values",
}
"""By field: the parameter that sets it, where the names differ."""
_SEGMENT = re.compile(r"[^.\[/]+")


def violations_as_typed(error: AskbackError, parameters: Iterable[click.Parameter]) -> list[Violation]:
    """The error's violations, with the argument or option that set the field in place of the field."""
    names = {parameter.name or "": parameter_name(parameter) for parameter in parameters}
    return [Violation(_parameter_for(v.field, names), v.description) for v in error.violations]


def _parameter_for(path: str, names: Mapping[str, str]) -> str:
    """The argument or option behind a field; the path itself if there is none.

    A field within the values of a form is named after the option that sets them: `--default amount`.
    """
    path, _, within = path.partition("values_json/")
    if within:
        option = _parameter_for(path.rstrip("./"), names) if path else ""
        return f"{option} {within}".strip()
    for segment in _SEGMENT.findall(path):
        if segment in _WRAPPERS:
            continue
        for name in (_PARAMETERS.get(segment, segment), segment, f"{segment}s", segment.removesuffix("s")):
            if name in names:
                return names[name]
        return path
    return path
