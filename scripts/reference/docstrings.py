"""The docstrings of a class's attributes, which Python itself does not keep."""

from __future__ import annotations

import inspect
from pathlib import Path

import griffe


def attributes(of: type) -> dict[str, str]:
    """The attributes of a class in the order of its source, each with its docstring or an empty text."""
    # Reads one file: loading its package would read every file of it.
    path = Path(inspect.getfile(of))
    members = griffe.visit(of.__module__, path, path.read_text(encoding="utf-8"))[of.__name__].members
    return {
        name: member.docstring.value if member.docstring else ""
        for name, member in members.items()
        if member.is_attribute
    }
