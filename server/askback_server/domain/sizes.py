"""Lists that fit into a number of bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def fit_bytes(items: Iterable[T], size: Callable[[T], int], room: int, *, at_least: int = 0) -> list[T]:
    """The first items that together take at most `room` bytes by their `size`, or the first `at_least`.

    Pages pass `at_least=1`: an item that is larger than a page is alone on one, so that paging always ends.
    """
    fitting: list[T] = []
    for item in items:
        room -= size(item)
        if room < 0 and len(fitting) >= at_least:
            break
        fitting.append(item)
    return fitting
