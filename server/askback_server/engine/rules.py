"""Knows the rules of all namespaces, from memory: a prompt that is asked reads none from the database.

Each replica looks every `INTERVAL_SECONDS` whether rules of other replicas have changed, and reads them
again at once when a write that uses a rule was refused. What it does not know yet does no harm: an answer is
guarded by the version of the set, and without a rule people are asked.
"""

from __future__ import annotations

import asyncio

from askback_server.domain.rule_checks import prepare_rule
from askback_server.domain.rule_inputs import Expressions
from askback_server.domain.rules import NO_RULES, CompiledRule, Effect, RuleBook, RuleSet
from askback_server.domain.stored_rules import StoredRule
from askback_server.engine.periodic import every
from askback_server.ports.rules import RuleStore

INTERVAL_SECONDS = 2.0
"""Seconds between two looks at the versions of the sets."""
_ANSWERING = (Effect.ANSWER, Effect.REFUSE)


class Rules:
    """The rules that are on, and the proposals that wait."""

    def __init__(self, store: RuleStore, expressions: Expressions) -> None:
        self._store = store
        self._expressions = expressions
        self._versions: dict[str, int] = {}
        self._stored: dict[str, tuple[StoredRule, ...]] = {}
        self._compiled: dict[str, tuple[CompiledRule, ...]] = {}
        self._loading = asyncio.Lock()
        """One load at a time: an older one must not end after a newer one."""
        self.book: RuleBook = NO_RULES
        """Replaced as a whole by `load`."""

    @property
    def proposals(self) -> list[StoredRule]:
        """Rules with a revision that waits for a second person, as far as is known."""
        return [rule for rules in self._stored.values() for rule in rules if rule.proposal is not None]

    async def load(self) -> None:
        """Read the sets that have changed, and the authors of all rules. Raises StorageUnavailable."""
        async with self._loading:
            await self._load()

    async def _load(self) -> None:
        versions = await self._store.read_versions()
        for namespace, version in versions.items():
            if self._versions.get(namespace) != version or self._limited(namespace):
                await self._read(namespace)
        for namespace in self._versions.keys() - versions.keys():
            self._forget(namespace)
        authors = {
            (namespace, each.rule.author)
            for namespace, rules in self._compiled.items()
            for each in rules
            if each.rule.spec.effect in _ANSWERING
        }
        standings = await self._store.read_standings(authors) if authors else {}
        self.book = RuleBook(
            {
                namespace: RuleSet(
                    self._versions[namespace],
                    rules,
                    {person: s for (where, person), s in standings.items() if where == namespace},
                    self._expressions.version,
                )
                for namespace, rules in self._compiled.items()
                if rules
            }
        )

    def _limited(self, namespace: str) -> bool:
        """Whether a rule may be used a number of times: its uses change without the version."""
        return any(each.rule.spec.max_uses for each in self._compiled.get(namespace, ()))

    async def _read(self, namespace: str) -> None:
        version, stored = await self._store.read_set(namespace)
        self._versions[namespace] = version
        self._stored[namespace] = tuple(stored)
        self._compiled[namespace] = tuple(
            prepare_rule(rule.active, self._expressions)
            for rule in stored
            if rule.active is not None and rule.active.enabled
        )

    def _forget(self, namespace: str) -> None:
        for known in (self._versions, self._stored, self._compiled):
            known.pop(namespace, None)

    async def run(self) -> None:
        """Load again and again until cancelled. Errors are logged."""
        await every(INTERVAL_SECONDS, self.load, "rules")
