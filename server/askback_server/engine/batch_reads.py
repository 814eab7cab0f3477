"""Finds the aggregates of a batch: in memory, else in the database by few statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from askback_server.domain.absences import Absences, no_absences
from askback_server.domain.aggregate import Aggregate
from askback_server.domain.commands import PromptRef
from askback_server.domain.rules import NO_RULES, RuleBook
from askback_server.engine.electorate import (
    ReadElectorate,
    electorate_query,
    merge_queries,
    read_nothing,
)
from askback_server.engine.grouping import Group
from askback_server.engine.hot_jobs import HotJobs
from askback_server.engine.needs import covers
from askback_server.ports.storage import JobStore


class RuleSource(Protocol):
    """The rules of a replica (`engine/rules.py`)."""

    @property
    def book(self) -> RuleBook:
        """What is known."""

    async def load(self) -> None:
        """Read it again."""


class _NoRules:
    """Without rules people are asked."""

    book = NO_RULES

    async def load(self) -> None:
        """There is nothing to read."""


NO_RULE_SOURCE = _NoRules()


class BatchReads:
    """The reads of one batch."""

    def __init__(
        self,
        store: JobStore,
        hot: HotJobs,
        read_electorate: ReadElectorate = read_nothing,
        rules: RuleSource = NO_RULE_SOURCE,
        absences: Callable[[], Absences] = no_absences,
    ) -> None:
        self._store = store
        self._hot = hot
        self._read_electorate = read_electorate
        self._rules = rules
        self._absences = absences

    async def locate(self, refs: Sequence[PromptRef]) -> dict[PromptRef, tuple[str, str]]:
        """Job id and prompt id of the prompts that exist: from memory, else by one read for all ids. It
        brings their jobs into memory, where `fill` finds them."""
        places: dict[PromptRef, tuple[str, str]] = {}
        unknown: dict[str, PromptRef] = {}
        for ref in refs:
            prompt = self._hot.locate(ref)
            if prompt is None and ref.prompt_id:
                unknown[ref.prompt_id] = ref
            elif prompt is not None or (prompt := await self._store.find_prompt(ref)) is not None:
                places[ref] = prompt.job_id, prompt.prompt_id
        if unknown:
            for aggregate in await self._store.load_by_prompts(list(unknown)):
                for prompt in self._hot.put(aggregate).prompts.values():
                    if prompt.prompt_id in unknown:
                        places[unknown[prompt.prompt_id]] = prompt.job_id, prompt.prompt_id
        return places

    async def fill(self, groups: Sequence[Group]) -> None:
        """Give each group its aggregate: from memory if that has every part needed, else by one read; and
        what this replica knows of absences and rules.

        Rules are read again only after a write that used one was refused.
        """
        if any(group.stale_rules for group in groups):
            await self._rules.load()
        book, absences = self._rules.book, self._absences()
        missing = []
        for group in groups:
            group.rules, group.absences = book, absences
            wanted = group.wanted
            if wanted.head is not None and not group.reread:
                group.aggregate = Aggregate(wanted.head)
                continue
            if wanted.job_id and not group.reread:
                known = self._hot.get(wanted.job_id)
                if known is not None and covers(known, wanted):
                    group.aggregate = known
                    continue
            if wanted.job_id or (wanted.request and group.reread):
                missing.append(group)
            else:
                # A new job. Whether its request_id exists already is found out by the write.
                group.fresh = not wanted.request
        if missing:
            loaded = await self._store.load([g.wanted for g in missing])
            for group, aggregate in zip(missing, loaded, strict=True):
                group.aggregate = aggregate if group.wanted.is_head else self._hot.put(aggregate)
                group.fresh = True
        queries = [
            query
            for group in groups
            for item in group.items
            if (query := electorate_query(group.aggregate, item.command)) is not None
        ]
        if queries:
            electorate = await self._read_electorate(merge_queries(queries))
            for group in groups:
                group.electorate = electorate
