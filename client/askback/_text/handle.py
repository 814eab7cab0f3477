"""Handles: short, unique ends of ids that people can read and type.

Ids begin with a timestamp, so ids created at about the same time begin alike; their ends are random.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MIN_HANDLE_CHARS = 6
"""Minimum number of characters in a handle."""
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HANDLE = re.compile(rf"[0-9a-f-]{{{MIN_HANDLE_CHARS},35}}")


def is_id(text: str) -> bool:
    """Whether the text is a whole id, in lower case."""
    return _ID.fullmatch(text) is not None


def is_handle(text: str) -> bool:
    """Whether the text can be the end of an id, in lower case, and is long enough for a handle."""
    return _HANDLE.fullmatch(text) is not None


def handles(ids: Iterable[str]) -> dict[str, str]:
    """Map each id to its shortest end, of at least six characters, that no other of these ids has.

    An id shorter than that is its own handle.
    """
    found: dict[str, str] = {}
    left, length = list(dict.fromkeys(ids)), MIN_HANDLE_CHARS
    while left:
        by_end: dict[str, list[str]] = {}
        for one in left:
            by_end.setdefault(one[-length:], []).append(one)
        left, length = [], length + 1
        for end, ones in by_end.items():
            if len(ones) == 1 or len(end) == max(map(len, ones)):
                found.update(dict.fromkeys(ones, end))
            else:
                left += ones
    return found


def completions(ids: Iterable[str], incomplete: str) -> dict[str, str]:
    """Map each matching id to the completion of the typed text: its handle, else the whole id."""
    known = handles(ids)
    found = {one: handle for one, handle in known.items() if handle.startswith(incomplete)}
    if incomplete:
        found.update({one: one for one in known if one.startswith(incomplete) and one not in found})
    return found
