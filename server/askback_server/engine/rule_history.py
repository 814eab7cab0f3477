"""Looks at prompts of the past for previews and suggestions: pages of the database, evaluated in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from askback_server.domain.commands import PromptRef
from askback_server.domain.errors import InvalidField, PromptNotFound
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt, PromptState
from askback_server.domain.rule_checks import check_spec, compile_rule
from askback_server.domain.rule_inputs import Expressions
from askback_server.domain.rule_preview import Did, Linter, Preview, Would, add, did, would
from askback_server.domain.rule_suggestions import (
    SUPPORTING,
    Suggestion,
    propose_for,
    suggest,
    without_rest,
)
from askback_server.domain.rules import CompiledRule, Rule, RuleSpec
from askback_server.domain.stored_rules import APPROVALS
from askback_server.engine.rules import Rules
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.queries import PromptFilter, PromptOrder
from askback_server.ports.storage import JobStore

PAGE = 100
"""Prompts of one page. Calls are served between two of them."""
PAGE_BYTES = 4 * 1024 * 1024
AT_ONCE = 2
"""Looks at the past at the same time: each may evaluate for seconds, in a thread beside that of the calls."""
DEFAULT_PREVIEW = 200
DEFAULT_SUGGEST = 500
DEFAULT_SUPPORT = 5
_CLOSED = tuple(state for state in PromptState if state is not PromptState.PENDING)


class RuleHistory:
    """Previews of rules, and drafts of new ones."""

    def __init__(
        self, jobs: JobStore, rules: Rules, expressions: Expressions, clock: DatabaseClock, limits: Limits
    ) -> None:
        self._jobs = jobs
        self._rules = rules
        self._expressions = expressions
        self._clock = clock
        self._limits = limits
        self._looking = asyncio.Semaphore(AT_ONCE)

    async def preview(self, principal: Principal, namespace: str, spec: RuleSpec, prompts: int) -> Preview:
        """What a rule would have done. Raises PermissionDenied, InvalidField, StorageUnavailable."""
        principal.require(Role.POLICY)
        count = self._count(prompts, DEFAULT_PREVIEW)
        spec = check_spec(spec, self._expressions, self._limits, self._clock.now(), with_examples=False)
        rule = compile_rule(Rule("draft", 0, namespace, principal.subject, spec), self._expressions)
        known = self._rules.book.of(namespace)
        linter, preview = Linter(rule, known.rules if known is not None else ()), Preview()
        async with self._looking:
            async for page in self._read(namespace, count):
                await asyncio.to_thread(self._evaluate, preview, linter, rule, page)
        preview.findings = linter.findings()
        return preview

    def _evaluate(self, preview: Preview, linter: Linter, rule: CompiledRule, page: Sequence[Prompt]) -> None:
        for prompt in page:
            add(preview, rule, prompt, self._limits)
            linter.add(prompt, self._limits)

    def _count(self, asked: int, default: int) -> int:
        maximum = self._limits.preview_prompts
        if not 0 <= asked <= maximum:
            raise InvalidField.of("prompts", f"must be between 0 and {maximum}")
        return asked or default

    async def _read(
        self, namespace: str, count: int, *, closed_only: bool = False
    ) -> AsyncIterator[list[Prompt]]:
        """The open prompts, the most urgent first, and then the closed ones, the latest end first."""
        filters = [PromptFilter(namespace, states=_CLOSED, order=PromptOrder.CLOSE_TIME)]
        if not closed_only:
            filters.insert(0, PromptFilter(namespace))
        for each in filters:
            after = None
            while count > 0:
                page = await self._jobs.list_prompts(each, min(PAGE, count), after, PAGE_BYTES)
                # No rule is applied to the approvals of rules.
                yield [prompt for prompt in page.prompts if prompt.job_type != APPROVALS]
                count -= len(page.prompts)
                after = page.next
                if after is None:
                    break

    async def suggest(
        self, principal: Principal, namespace: str, prompts: int, min_support: int
    ) -> list[Suggestion]:
        """Drafts from what people have decided alike. Raises PermissionDenied, InvalidField."""
        principal.require(Role.POLICY)
        if min_support and not 2 <= min_support <= self._limits.preview_prompts:
            raise InvalidField.of("min_support", f"must be 0, or from 2 to {self._limits.preview_prompts}")
        count = self._count(prompts, DEFAULT_SUGGEST)
        async with self._looking:
            found: list[Prompt] = []
            async for page in self._read(namespace, count, closed_only=True):
                found += map(without_rest, page)
            drafts = await asyncio.to_thread(suggest, found, min_support or DEFAULT_SUPPORT, self._limits)
            first = await self._jobs.list_prompts(PromptFilter(namespace), PAGE, None, PAGE_BYTES)
            return await asyncio.to_thread(self._count_open, drafts, first.prompts)

    async def propose(self, principal: Principal, namespace: str, prompt_id: str, prompts: int) -> Suggestion:
        """The rule "always so for this" of one prompt, with what it covers.

        Raises PermissionDenied, PromptNotFound, InvalidField.
        """
        principal.require(Role.POLICY)
        prompt = await self._jobs.find_prompt(PromptRef(prompt_id))
        if prompt is None or prompt.namespace != namespace:
            raise PromptNotFound(prompt_id=prompt_id)
        spec = propose_for(prompt, self._limits)
        found = Suggestion(spec, 0, 0, (), ())
        rule = compile_rule(Rule("draft", 0, namespace, "", spec), self._expressions)
        async with self._looking:
            async for page in self._read(namespace, self._count(prompts, DEFAULT_SUGGEST)):
                found = await asyncio.to_thread(self._add, found, rule, did(prompt), page)
        return found

    def _add(self, found: Suggestion, rule: CompiledRule, wanted: Did, page: Sequence[Prompt]) -> Suggestion:
        """A suggestion with what it covers of a page."""
        covered = [each for each in page if self._covers(rule, each)]
        alike = [each for each in covered if not each.is_open and did(each) is wanted]
        is_open = sum(each.is_open for each in covered)
        others = sum(did(each) not in (wanted, Did.NONE) for each in covered if not each.is_open)
        users = {a.user_id for each in alike if each.resolution and (a := each.resolution.answer)}
        return replace(
            found,
            support=found.support + len(alike),
            exceptions=found.exceptions + others,
            users=tuple(sorted({*found.users, *users})),
            samples=(*found.samples, *alike)[:SUPPORTING],
            covers_open=found.covers_open + is_open,
        )

    def _count_open(self, drafts: Sequence[Suggestion], prompts: Sequence[Prompt]) -> list[Suggestion]:
        counted = []
        for each in drafts:
            rule = compile_rule(Rule("draft", 0, "", "", each.spec), self._expressions)
            counted.append(replace(each, covers_open=sum(self._covers(rule, p) for p in prompts)))
        return counted

    def _covers(self, rule: CompiledRule, prompt: Prompt) -> bool:
        return would(rule, prompt, self._limits) in (Would.ANSWER, Would.REFUSE)
