"""Versions of prompts that ended or left a view, so that an older image that arrives late does not show them
again."""

from __future__ import annotations

from collections.abc import Iterable

MAX_TOMBSTONES = 4_096
"""Maximum number of tombstones of one view; the oldest ones are dropped first."""


class Tombstones:
    """The tombstones of one view."""

    __slots__ = ("_hidden", "_versions")

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        """The oldest first. Most views have none, so a plain dict: it is empty at a third of the size."""
        self._hidden: dict[str, None] = {}
        """Those of open prompts: another filter may show them."""

    def __len__(self) -> int:
        return len(self._versions)

    def version_of(self, prompt_id: str) -> int:
        """The version of a tombstone; 0 without one."""
        return self._versions.get(prompt_id, 0)

    def add(self, prompt_id: str, version: int, *, is_open: bool = False) -> None:
        """Add or replace a tombstone."""
        self.discard(prompt_id)
        self._versions[prompt_id] = version
        if is_open:
            self._hidden[prompt_id] = None
        if len(self._versions) > MAX_TOMBSTONES:
            self.discard(next(iter(self._versions)))

    def discard(self, prompt_id: str) -> None:
        """Remove the tombstone of a prompt that is shown again."""
        self._versions.pop(prompt_id, None)
        self._hidden.pop(prompt_id, None)

    def lower(self, prompt_ids: Iterable[str]) -> None:
        """Let the same versions be offered again, but no older ones."""
        for prompt_id in prompt_ids:
            if prompt_id in self._versions:
                self._versions[prompt_id] -= 1

    def forget_hidden(self) -> None:
        """Remove those of open prompts, because the filter has changed."""
        for prompt_id in self._hidden:
            self._versions.pop(prompt_id, None)
        self._hidden.clear()
