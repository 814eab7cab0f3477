"""Knows the rules of all namespaces, from memory: a prompt that is asked reads none from the database.

Each replica looks every `INTERVAL_SECONDS` whether rules of other replicas have changed, and reads them
again at once when a write that uses a rule was refused. What it does not know yet does no harm: an answer is
guarded by the version of the set, and without a rule people are asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from askback_server.domain.rule_checks import prepare_rule
from askback_server.domain.rule_inputs import Expressions
from askback_server.domain.rules import NO_RULES, CompiledRule, Effect, Rule, RuleBook, RuleSet
from askback_server.domain.stored_rules import StoredRule
from askback_server.engine.periodic import every
from askback_server.ports.rules import RuleStore

INTERVAL_SECONDS = 2.0
"""Seconds between two looks at the versions of the sets."""
_log = logging.getLogger("askback.server.rules")
_ANSWERING = (Effect.ANSWER, Effect.REFUSE)


class Rules:
    """The rules that are on, and the proposals that wait."""

    def __init__(self, store: RuleStore, expressions: Expressions) -> None:
        self._store = store
        self._expressions = expressions
        self._versions: dict[str, int] = {}
        self._stored: dict[str, tuple[StoredRule, ...]] = {}
        self._compiled: dict[str, tuple[CompiledRule, ...]] = {}
        self._broken: dict[str, list[str]] = {}
        """The rules that cannot be evaluated here, by namespace, as they were logged last."""
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
            if self._versions.get(namespace) != version:
                await self._read(namespace, version)
        for namespace in self._versions.keys() - versions.keys():
            self._forget(namespace)
        authors = {
            (namespace, each.rule.author)
            for namespace, rules in self._compiled.items()
            for each in rules
            if each.rule.spec.effect in _ANSWERING
        }
        standings = await self._store.read_standings(authors) if authors else {}
        limited = {namespace for namespace, rules in self._compiled.items() if _have_limits(rules)}
        uses = await self._store.read_uses(limited) if limited else {}
        self.book = RuleBook(
            {
                namespace: RuleSet(
                    self._versions[namespace],
                    rules,
                    {person: s for (where, person), s in standings.items() if where == namespace},
                    self._expressions.version,
                    uses,
                )
                for namespace, rules in self._compiled.items()
                if rules
            }
        )

    async def _read(self, namespace: str, seen: int) -> None:
        """Read a set. Where no rule is left it has no version of its own, and `seen` is that of the table."""
        version, stored = await self._store.read_set(namespace)
        known = {each.rule.ref: each for each in self._compiled.get(namespace, ())}
        on = [rule.active for rule in stored if rule.active is not None and rule.active.enabled]
        compiled = [await self._compile(known, rule) for rule in on]
        self._versions[namespace] = version or seen
        self._stored[namespace] = tuple(stored)
        self._compiled[namespace] = tuple(compiled)
        self._report_broken(namespace, compiled)

    async def _compile(self, known: Mapping[str, CompiledRule], rule: Rule) -> CompiledRule:
        """A rule, ready to be applied. What a revision says never changes, so only a new one is compiled and
        its examples evaluated, and calls are served between two of them."""
        before = known.get(rule.ref)
        if before is not None and before.rule.spec == rule.spec:
            return replace(before, rule=rule)
        await asyncio.sleep(0)
        return prepare_rule(rule, self._expressions)

    def _report_broken(self, namespace: str, rules: Sequence[CompiledRule]) -> None:
        """Log the rules that cannot be evaluated here, once for each change of them."""
        broken = sorted(each.rule.ref for each in rules if each.is_broken)
        if broken and broken != self._broken.get(namespace):
            why = f"their examples do not hold with {self._expressions.version}"
            if not self._expressions.version:
                why = 'the library for conditions is not installed here: pip install "askback[rules]"'
            _log.warning(
                "rules of the namespace %s cannot be evaluated, so people are asked: %s (%s)",
                namespace,
                ", ".join(broken),
                why,
            )
        self._broken[namespace] = broken

    def _forget(self, namespace: str) -> None:
        for known in (self._versions, self._stored, self._compiled, self._broken):
            known.pop(namespace, None)

    async def run(self) -> None:
        """Load again and again until cancelled. Errors are logged."""
        await every(INTERVAL_SECONDS, self.load, "rules")


def _have_limits(rules: Iterable[CompiledRule]) -> bool:
    """Whether a rule may be used a number of times: its uses change without the version of the set."""
    return any(each.rule.spec.max_uses for each in rules)
