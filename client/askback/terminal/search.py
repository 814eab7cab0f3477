"""Searches prompts by words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from askback._model.prompts import PromptInfo
from askback.terminal.prompt_list import Row
from askback.terminal.writer import Writer

_MAX_FOUND = 20
"""The maximum number of results that are listed."""


def matches(prompt: PromptInfo, text: str) -> bool:
    """Whether every word of the text occurs in the prompt's title, body, names, id or labels, in any case."""
    labels = (f"{name}={value}" for name, value in prompt.labels.items())
    texts = (prompt.title, prompt.body, prompt.kind, prompt.key, prompt.job_type, prompt.prompt_id, *labels)
    found = "\n".join(texts).casefold()
    return all(word in found for word in text.casefold().split())


def write_found(writer: Writer, rows: Sequence[Row[Any]]) -> None:
    """List the prompts that were found, each with its number."""
    for row in rows[:_MAX_FOUND]:
        writer.line(f"{row.number:>4}  [{row.prompt.kind}] {row.prompt.title}")
    if len(rows) > _MAX_FOUND:
        writer.line(f"      and {len(rows) - _MAX_FOUND} more", "quiet")
