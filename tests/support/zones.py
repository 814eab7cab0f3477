"""Set the local time zone for a while."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

CET = "CET-1CEST,M3.5.0,M10.5.0/3"


@contextmanager
def zone(name: str) -> Iterator[None]:
    """Set the local time zone: `UTC`, `Asia/Tokyo`, or a rule such as `CET`."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()
