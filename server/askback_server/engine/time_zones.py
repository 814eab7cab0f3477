"""Knows the names of the IANA time zone database of this machine, or of the package tzdata."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=1024)
def is_time_zone(name: str) -> bool:
    """Whether a name is a time zone, such as `Europe/Berlin`."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a key; a folder, such as `Europe`
        return False
    return not name.startswith(("posix/", "right/"))  # copies, on some systems only
