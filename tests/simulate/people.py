"""Who may see what, and since when."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from askback_server.domain.principals import Principal, Role

_AT_START = (
    Principal("ann", frozenset({Role.CONSOLE}), groups=frozenset({"law"})),
    Principal("bob", frozenset({Role.CONSOLE})),
    Principal("wanda", frozenset({Role.WORKER})),
)


class People:
    """The people of a schedule, whose groups may change."""

    def __init__(self, more: Iterable[Principal] = ()) -> None:
        self._history = {person.subject: [(0.0, person)] for person in (*_AT_START, *more)}

    def __getitem__(self, name: str) -> Principal:
        """What the person may do now."""
        return self._history[name][-1][1]

    def history(self, name: str) -> list[tuple[float, Principal]]:
        """What the person may do, with the virtual times of the changes."""
        return self._history[name]

    def changed_at(self, name: str) -> float:
        """The virtual time of the last change."""
        return self._history[name][-1][0]

    def change(self, name: str, groups: frozenset[str]) -> None:
        """Replace a person's groups."""
        changed = replace(self[name], groups=groups)
        self._history[name].append((asyncio.get_running_loop().time(), changed))
