"""Storage of rules. See `engine/rules.py`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from askback_server.domain.rules import Standing
from askback_server.domain.stored_rules import StoredRule

RuleDecision = Callable[[StoredRule | None, datetime], StoredRule]
"""Decides what is stored in place of a rule (None: there is none) at the database's time."""


class RuleStore(Protocol):
    """Rules with their revisions, and the version of each namespace's set of rules."""

    async def read_versions(self) -> Mapping[str, int]:
        """The versions of the sets, by namespace. Raises StorageUnavailable."""

    async def read_set(self, namespace: str) -> tuple[int, Sequence[StoredRule]]:
        """The rules of a namespace that are not deleted, with the version that they belong to."""

    async def read_uses(self, namespaces: Collection[str]) -> Mapping[str, int]:
        """How often the rules of namespaces that have a limit were used, by rule id."""

    async def read_standings(self, people: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Standing]:
        """What the directory says of people, by namespace and subject; those that it has."""

    async def change(self, rule_id: str, namespace: str, decide: RuleDecision) -> StoredRule:
        """Read a rule with a lock, decide, and write it in one transaction. Returns what is stored.

        A change raises the version of the namespace's set. Raises the errors of `decide`.
        """

    async def list_rules(
        self, namespace: str, limit: int, after: str, *, include_deleted: bool
    ) -> Sequence[StoredRule]:
        """Rules by id, after an id."""
