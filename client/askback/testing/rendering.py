"""Renders a prompt as text for a failing test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from askback._model.enums import DecisionKind
from askback._model.prompts import PromptInfo

_SHOWN = ("type", "format", "minimum", "maximum", "minLength", "maxLength", "pattern", "default")
_MAX_BODY_LINES = 12


def render(prompt: PromptInfo) -> str:
    """The prompt as people see it, with its key, job type and audience."""
    return _clean("\n".join(_lines(prompt)))


def suggestion(prompt: PromptInfo) -> str:
    """A rule that would match this prompt."""
    by = f"key={prompt.key!r}" if prompt.key else repr(prompt.title)
    offered = [option.decision for option in prompt.decisions]
    if DecisionKind.RESPOND in offered or prompt.schema:
        values = ", ".join(f"{name!r}: ..." for name in _fields(prompt))
        return _clean(f"human.on({by}).answers({{{values}}})")
    return _clean(f"human.on({by}).approves()")


def _lines(prompt: PromptInfo) -> Iterator[str]:
    yield f"[{prompt.kind}] {prompt.title}"
    audience = prompt.proto.content.audience
    facts = [f"key {prompt.key!r}", f"job type {prompt.job_type!r}"]
    facts += [f"to user:{name}" for name in audience.users] + [f"to group:{name}" for name in audience.groups]
    if prompt.expires_at is not None:
        facts.append(f"until {prompt.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    yield ", ".join(facts)
    body = prompt.body.splitlines()
    yield from body[:_MAX_BODY_LINES]
    if len(body) > _MAX_BODY_LINES:
        yield f"… {len(body) - _MAX_BODY_LINES} more lines"
    for content in prompt.contents:
        editable = ", editable" if content.editable else ""
        yield f"content {content.content_id!r}: {content.title or content.media_type}{editable}"
    required = (prompt.schema or {}).get("required", ())
    for name, field in _fields(prompt).items():
        star = "*" if name in required else " "
        shape = _shape(field)
        yield f"{star} {name}: {field.get('title', '')}" + (f" ({shape})" if shape else "")
    yield "decisions: " + ", ".join(option.decision for option in prompt.decisions)


def _fields(prompt: PromptInfo) -> dict[str, Any]:
    return dict((prompt.schema or {}).get("properties", {}))


def _shape(field: dict[str, Any]) -> str:
    if "enum" in field:
        return "one of " + ", ".join(map(str, field["enum"]))
    for several in ("anyOf", "oneOf"):
        if several in field:
            return " or ".join(filter(None, map(_shape, field[several])))
    return ", ".join(
        f"{name} {field[name]}" if name != "type" else str(field[name]) for name in _SHOWN if name in field
    )


def _clean(text: str) -> str:
    """Replace unprintable characters, such as control characters and bidi overrides."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
