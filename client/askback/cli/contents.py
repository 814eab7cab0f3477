"""Turns files into contents of a prompt."""

from __future__ import annotations

import re
from pathlib import Path

from askback._model.prompts import Content
from askback.cli.job_input import read_text

_TYPES = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".diff": "text/x-diff",
    ".patch": "text/x-diff",
    ".json": "application/json",
}


def content_of(path: str, number: int, editable: bool) -> Content:
    """The file as a content. Raises click.UsageError if it is not text.

    The content id is the file name with invalid characters replaced; `file-NUMBER-` is put in front of a
    name that does not begin with a letter.
    """
    file = Path(path)
    text = read_text(path, "--contents")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", file.name)[:100]
    return Content(
        name if name[:1].isalpha() else f"file-{number}-{name}",
        text,
        title=file.name,
        media_type=_TYPES.get(file.suffix.lower(), "text/plain"),
        editable=editable,
    )
