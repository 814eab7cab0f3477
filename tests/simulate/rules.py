"""Rules in the simulated database, and a judge of every commit that may rest on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from askback_server.domain.events import EventType
from askback_server.domain.prompts import Prompt
from askback_server.domain.rules import Effect, Rule, RuleUse, Standing
from askback_server.domain.stored_rules import StoredRule
from askback_server.ports.rules import RuleDecision
from askback_server.ports.storage import JobWrite
from tests.simulate.virtual_time import LoopClock

T = TypeVar("T")
REPLICAS = 2
STRICTER = {Effect.ASK, Effect.REFUSE}
LEARN_WITHIN = 8.0
"""Virtual seconds after which every replica knows of a rule, whatever breaks."""


class SimulatedRules:
    """Implements the RuleStore port, and the guard of a write that uses rules."""

    need_approval = False

    def __init__(
        self,
        read: Callable[[Callable[[], object]], Awaitable[object]],
        pause: Callable[[], Awaitable[None]],
        report: Callable[[str], None],
    ) -> None:
        self._read, self._pause, self._report = read, pause, report
        self._clock = LoopClock()
        self.stored: dict[str, StoredRule] = {}
        self.version = 0
        self.uses: Counter[str] = Counter()
        self.people: dict[str, Standing] = {}
        self.refused: Counter[tuple[str, int]] = Counter()
        """How often writes of a job were refused for their rules, by the version that they rest on."""
        self._changed = 0.0

    # --- the port ---

    async def read_versions(self) -> Mapping[str, int]:
        return await self._see(lambda: {"default": self.version} if self.version else {})

    async def read_set(self, namespace: str) -> tuple[int, Sequence[StoredRule]]:
        return await self._see(lambda: (self.version, list(self._live())))

    async def read_uses(self, namespaces: Collection[str]) -> Mapping[str, int]:
        return await self._see(lambda: {rule_id: self.uses[rule_id] for rule_id in self.stored})

    async def read_standings(self, people: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Standing]:
        return await self._see(lambda: {p: self.people[p[1]] for p in people if p[1] in self.people})

    async def change(self, rule_id: str, namespace: str, decide: RuleDecision) -> StoredRule:
        await self._pause()
        before = self.stored.get(rule_id)
        after = self.stored[rule_id] = decide(before, self._clock.now())
        self.version += after != before
        self._changed = self._clock.monotonic()
        await self._pause()
        return after

    async def _see(self, found: Callable[[], T]) -> T:
        return await self._read(found)  # type: ignore[return-value]

    def _live(self) -> Iterator[StoredRule]:
        for rule_id, rule in sorted(self.stored.items()):
            if rule.deleted_at is None:
                active = rule.active and replace(rule.active, uses=self.uses[rule_id])
                yield replace(rule, active=active)

    # --- people ---

    def turn(self, person: str, groups: frozenset[str], *, active: bool) -> None:
        """The directory says something else of a person, from now on."""
        self.people[person] = Standing(self._clock.now(), active, groups, groups)
        self._changed = self._clock.monotonic()

    # --- the guard ---

    def hold(self, write: JobWrite) -> bool:
        """Whether all rules that a write uses are as they were read."""
        uses = write.guard.rules
        if all(self._is_usable(use, uses.count(use)) and self._is_author(use) for use in uses):
            return True
        if not all(self._is_usable(use, uses.count(use)) for use in uses):
            # A replica that has read the rules since does not use them again.
            known = write.job.job_id, uses[0].set_version
            self.refused[known] += 1
            if self.refused[known] > REPLICAS:
                self._report("decided again by rules with which the write was refused")
        return False

    def _is_usable(self, use: RuleUse, times: int) -> bool:
        rule = self._active(use.rule_id)
        if rule is None or use.set_version != self.version:
            return False
        return not rule.spec.max_uses or self.uses[use.rule_id] + times <= rule.spec.max_uses

    def _is_author(self, use: RuleUse) -> bool:
        author = self.people.get(use.author)
        return use.author_version is None or (
            author is not None and author.is_active and author.version == use.author_version
        )

    def _active(self, rule_id: str) -> Rule | None:
        stored = self.stored.get(rule_id)
        if stored is None or stored.deleted_at is not None or stored.active is None:
            return None
        expires = stored.active.spec.expires_at
        assert expires is not None
        return stored.active if stored.active.enabled and self._clock.now() < expires else None

    # --- the judge ---

    def commit(self, write: JobWrite) -> None:
        """Count the uses of a write that is committed now, and judge what it says."""
        self.uses.update(use.rule_id for use in write.guard.rules)
        prompts = {**write.new_prompts, **{i: p for i, (p, _) in write.changed_prompts.items()}}
        for submission in write.submissions:
            if submission.answer.rule:
                prompt, author = prompts[submission.prompt_id], submission.answer.user_id
                self._judge_answer(submission.answer.rule, prompt, author)
        for event in write.events:
            if event.prompt_id in prompts and event.type in (
                EventType.PROMPT_ASKED,
                EventType.PROMPT_AMENDED,
            ):
                self._judge_question(prompts[event.prompt_id])

    def _judge_answer(self, ref: str, prompt: Prompt, author: str) -> None:
        rule_id, _, revision = ref.partition("@")
        rule, person = self._active(rule_id), self.people.get(author)
        matching = list(self._matching(prompt))
        if rule is None or str(rule.revision) != revision or rule not in matching:
            self._report("a rule answers that is off, changed or does not match")
            return
        if (
            person is None
            or not person.is_active
            or not prompt.content.audience.includes(author, person.groups)
        ):
            self._report("a rule answers that its author could not")
        if rule.spec.effect is Effect.ANSWER and {r.spec.effect for r in matching} & STRICTER:
            self._report("a rule answers although another one asks people, or refuses")
        if rule.spec.max_uses and self.uses[rule_id] > rule.spec.max_uses:
            self._report("a rule is used too often")

    def _judge_question(self, prompt: Prompt) -> None:
        """Check that a prompt was asked with the rules that have held for a while."""
        if self._clock.monotonic() - self._changed < LEARN_WITHIN:
            return
        matching = list(self._matching(prompt))
        effects = {rule.spec.effect for rule in matching}
        able = [
            r for r in matching if not r.spec.max_uses and prompt.content.right_of(r.author, self._groups(r))
        ]
        must_end = effects == {Effect.ANSWER} and able and prompt.content.approval is None
        if must_end and prompt.is_open and not prompt.content.excludes_author(able[0].author):
            self._report("people are asked what a rule answers, long after it was made")

    def _groups(self, rule: Rule) -> frozenset[str]:
        person = self.people.get(rule.author)
        return person.groups if person is not None else frozenset()

    def _matching(self, prompt: Prompt) -> Iterator[Rule]:
        content = prompt.content
        for rule_id in self.stored:
            rule = self._active(rule_id)
            if rule is not None and all(
                content.labels.get(k) == v for k, v in rule.spec.match.labels.items()
            ):
                yield rule

    def check_uses(
        self, log: Sequence[tuple[EventType, Mapping[str, object]]], answers: Sequence[str]
    ) -> None:
        """Check that each use was counted once: those that the events and the answers name."""
        found = Counter(ref.partition("@")[0] for ref in answers)
        for type_, data in log:
            if type_ is EventType.PROMPT_RULED:
                routed = data.get("routed", ())
                assert isinstance(routed, Sequence)
                found.update(str(ref).partition("@")[0] for ref in routed)
        if found != self.uses:
            self._report(f"uses are counted as {dict(self.uses)}, and were {dict(found)}")
