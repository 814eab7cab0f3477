"""The queue as lines: what is urgent comes first, so that a long title hides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from askback.prompts import PromptInfo
from askback.terminal import words
from askback.text import columns as terminal_columns
from askback.text import cut, one_line

COLUMNS = ("PRI", "LEFT", "AGE", "KIND", "CLAIMED", "ASKED BY", "PROMPT", "TITLE")


def cells(prompt: PromptInfo, at: datetime, name: str = "") -> list[str]:
    """One row for COLUMNS; `name` stands for the prompt's id where a shorter one is known."""
    row = [
        str(prompt.proto.content.priority),
        words.left(prompt, at) if prompt.is_open else _ended(prompt),
        words.age(prompt, at),
        prompt.kind,
        words.claim(prompt, at) or ("nobody there" if prompt.unattended_since else "-"),
        prompt.job_type or "-",
        name or prompt.prompt_id,
        prompt.title,
    ]
    return [one_line(cell) for cell in row]


def _ended(prompt: PromptInfo) -> str:
    by_default = prompt.answered is not None and prompt.answered.by_default
    return "by default" if by_default else prompt.state.lower()


def aligned(rows: Sequence[Sequence[str]], columns: Sequence[str] = COLUMNS, width: int = 0) -> list[str]:
    """The rows under their columns' names; each line cut to `width` if that is not 0."""
    lines = [list(columns), *map(list, rows)]
    sizes = [max(terminal_columns(line[i]) for line in lines) for i in range(len(columns))]
    sizes[-1] = 0
    texts = (
        "  ".join(
            cell + " " * (size - terminal_columns(cell)) for cell, size in zip(line, sizes, strict=True)
        )
        for line in lines
    )
    return [cut(text, width) for text in texts]
