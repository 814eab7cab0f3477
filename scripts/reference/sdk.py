"""The page of the SDK: the public names of `askback`, from their docstrings and signatures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

import askback

CLIENT = Path(__file__).resolve().parents[2] / "client"
GROUPS = {
    "Starting, asking and steering": [
        "Client",
        "Run",
        "JobInfo",
        "Event",
        "JobChange",
        "Understanding",
        "Identity",
        "Tls",
    ],
    "Running jobs": ["Worker", "Job", "Verdict", "Content", "Option", "NonRetryable"],
    "Answering": [
        "Console",
        "ConsolePrompt",
        "PromptInfo",
        "PromptPage",
        "AnswerInfo",
        "AnswerOutcome",
        "BatchResult",
        "Resolution",
        "Closing",
        "CaughtUp",
    ],
    "Approving together": ["Approval", "Exclude", "Vote", "VoteCount", "Shortfall"],
    "Figures": ["Overview", "Waiting", "WaitingPrompt", "ConnectedStreams", "Activity", "ActivityCounts"],
    "Words of the contract": [
        "JobState",
        "PromptOrder",
        "PromptState",
        "DecisionKind",
        "AnswerStatus",
        "AnswerSource",
        "FinalAction",
        "Authentication",
    ],
}

TESTING = ("human.Human", "rules.Rule", "clock.Clock", "server.Server")
"""The classes of the fixtures in `askback.testing`."""


def lines() -> Iterator[str]:
    """The lines of the page."""
    package = griffe.load("askback", search_paths=[str(CLIENT)])
    errors = package["errors"]
    listed = {name for names in GROUPS.values() for name in names}
    rest = sorted(set(askback.__all__) - listed - set(errors.members))
    groups = GROUPS | ({"More": rest} if rest else {})
    yield "# The Python SDK"
    yield ""
    yield (
        "Everything here but [testing](#testing) is imported from `askback`. Signatures say what is `async`. "
        "[`askback.sync`](../how-to/without-asyncio.md) has the same names without `await`. "
        "How to use it is told in the pages for [job authors](../how-to/job-author.md), "
        "[worker authors](../how-to/worker-author.md) and [console authors](../how-to/console-author.md)."
    )
    yield ""
    for title, names in groups.items():
        yield f"- {title}: " + ", ".join(f"[{name}](#{name.lower()})" for name in names)
    yield "- [Testing](#testing), [errors](#errors)"
    yield ""
    for title, names in groups.items():
        yield f"## {title}"
        yield ""
        for name in names:
            yield from _class(_find(package, name))
    yield "## Testing"
    yield ""
    yield from _docstring(package["testing"])
    for path in TESTING:
        yield from _class(package[f"testing.{path}"])
    yield "## Errors"
    yield ""
    yield from _docstring(errors)
    yield from _class(errors["AskbackError"])
    yield from _class(errors["Violation"])


def _find(package: Any, name: str) -> Any:
    return package[f"{askback._MODULE[name].removeprefix('askback.')}.{name}"]


def _class(item: Any) -> Iterator[str]:
    yield f"### {item.name}"
    yield ""
    if constructor := _constructor(item):
        yield from _code(f"{item.name}{_signature(constructor)}")
    yield from _docstring(item)
    values: list[Any] = []
    calls: list[Any] = []
    for named in {**item.inherited_members, **item.members}.values():
        member = named.final_target if named.is_alias else named
        if member.name.startswith("_") or member.name in ("from_proto", "to_proto"):
            continue
        (calls if member.is_function else values).append(member)
    for member in values:
        about = " ".join(member.docstring.value.split()) if member.docstring else ""
        kind = f": `{member.annotation}`" if member.annotation else ""
        yield f"- `{member.name}`{kind}. {about}".rstrip(". ") + ("." if about else "")
    if values:
        yield ""
    for member in calls:
        yield from _call(item.name, member)


def _constructor(item: Any) -> Any:
    """`__init__` of a class that programs instantiate; None for classes of results."""
    if item.name in ("Client", "Worker", "NonRetryable") or "dataclass" in str(item.decorators):
        return item.all_members.get("__init__")
    return None


def _call(owner: str, member: Any) -> Iterator[str]:
    word = "async " if "async" in member.labels else ""
    shapes = member.overloads or [member]
    yield f"#### {owner}.{member.name}"
    yield ""
    yield from _code("\n".join(f"{word}{member.name}{_signature(shape)}" for shape in shapes))
    yield from _docstring(member)


def _signature(function: Any) -> str:
    parts: list[str] = []
    kinds = [p.kind for p in function.parameters]
    for index, parameter in enumerate(function.parameters):
        if parameter.name in ("self", "cls"):
            continue
        kind = parameter.kind
        previous = kinds[index - 1] if index else None
        if kind is griffe.ParameterKind.keyword_only and previous not in (
            griffe.ParameterKind.keyword_only,
            griffe.ParameterKind.var_positional,
        ):
            parts.append("*")
        star = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(
            kind, ""
        )
        text = f"{star}{parameter.name}"
        if parameter.annotation is not None:
            text += f": {parameter.annotation}"
        if parameter.default is not None and not star:
            text += f" = {parameter.default}" if parameter.annotation is not None else f"={parameter.default}"
        parts.append(text)
        following = kinds[index + 1] if index + 1 < len(kinds) else None
        if kind is griffe.ParameterKind.positional_only and following is not kind:
            parts.append("/")
    returns = f" -> {function.returns}" if function.returns is not None else ""
    one = f"({', '.join(parts)}){returns}"
    if len(one) <= 88 or not parts:
        return one
    return "(\n" + "".join(f"    {part},\n" for part in parts) + f"){returns}"


def _code(text: str) -> Iterator[str]:
    yield "```python"
    yield text
    yield "```"
    yield ""


def _docstring(item: Any) -> Iterator[str]:
    if item.docstring:
        yield item.docstring.value
        yield ""
