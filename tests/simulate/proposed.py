"""Schedules of proposed rules: a second person accepts them, while replicas crash and edits overtake them.

`ProposedRules` judges each change of a rule by the prompt that asked about it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from askback_server.domain import commands as c
from askback_server.domain.commands import PromptRef
from askback_server.domain.content import PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.errors import AskbackError
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt
from askback_server.domain.reserved_jobs import APPROVALS
from askback_server.domain.rules import Example, RuleSpec
from askback_server.domain.stored_rules import Proposal, StoredRule
from askback_server.engine import policy
from askback_server.engine.policy import Policy, RuleUpdate
from askback_server.ports.rules import RuleDecision
from tests.simulate.ruled import LAW, RulesSchedule
from tests.simulate.rules import SimulatedRules
from tests.simulate.schedule import FAULTY

TIMEOUT = timedelta(seconds=6)
"""How long a second person has. Some proposals expire."""
_BOTH = frozenset({Role.POLICY, Role.CONSOLE})
_AUTHORS = [Principal(name, _BOTH, groups=frozenset({"law", "risk"})) for name in ("ann", "bob")]
"""They are asked about rules of each other."""
_RITA = Principal("rita", frozenset({Role.CONSOLE}), groups=frozenset({"risk"}))


class ProposedRules(SimulatedRules):
    """Judges which revisions become active."""

    need_approval = True

    def __init__(self, prompts: dict[str, Prompt], *parts: Any) -> None:
        super().__init__(*parts)
        self._prompts = prompts
        self._activated: set[tuple[str, int]] = set()
        self.ended: set[str] = set()
        """Rules that people switch off or delete: their proposals may be dropped."""

    async def list_rules(
        self, namespace: str, limit: int, after: str, *, include_deleted: bool
    ) -> Sequence[StoredRule]:
        return await self._see(lambda: [rule for rule in self.stored.values() if rule.deleted_at is None])

    async def change(self, rule_id: str, namespace: str, decide: RuleDecision) -> StoredRule:
        def decide_and_judge(before: StoredRule | None, now: Any) -> StoredRule:
            after = decide(before, now)
            self._judge_change(before, after)
            return after

        return await super().change(rule_id, namespace, decide_and_judge)

    def prompt_about(self, proposal: Proposal) -> Prompt | None:
        return next((p for p in self._prompts.values() if p.job_id == proposal.job_id), None)

    def _judge_change(self, before: StoredRule | None, after: StoredRule) -> None:
        proposal = before.proposal if before is not None else None
        known = before.active.revision if before is not None and before.active is not None else 0
        if proposal is not None and (after.rule_id, proposal.revision) in self._activated and after != before:
            self._report("a proposal was activated twice")
        if after.active is not None and after.active.enabled and after.active.revision != known:
            self._judge_activation(proposal, after)
        elif proposal is not None and before is not None:
            is_dropped = replace(before, proposal=None, updated_at=after.updated_at) == after
            if is_dropped and after.rule_id not in self.ended and self._approver(proposal):
                self._report("a proposal was dropped that a second person has accepted")

    def _judge_activation(self, proposal: Proposal | None, after: StoredRule) -> None:
        assert after.active is not None
        revision = after.rule_id, after.active.revision
        self._activated.add(revision)
        if proposal is None or (proposal.revision, proposal.author) != (revision[1], after.active.author):
            self._report("a revision is active that did not wait for a second person")
        elif after.authorised_by == proposal.author:
            self._report("a proposal was approved by its author")
        elif not after.authorised_by or self._approver(proposal) != after.authorised_by:
            self._report("a proposal was activated that no second person has accepted")

    def _approver(self, proposal: Proposal) -> str:
        prompt = self.prompt_about(proposal)
        answer = prompt.resolution.answer if prompt is not None and prompt.resolution is not None else None
        return answer.user_id if answer is not None and answer.decision is Decision.ACCEPT else ""

    def waiting(self) -> list[str]:
        """Proposals that were decided, or that no one is asked about."""
        found = []
        for rule_id, rule in self.stored.items():
            if rule.proposal is not None:
                prompt = self.prompt_about(rule.proposal)
                if prompt is None or not prompt.is_open:
                    found.append(f"the proposal of {rule_id[-4:]} waits")
        return found


class ProposalsSchedule(RulesSchedule):
    """Like RulesSchedule, but all rules come from PolicyService and need a second person."""

    faults = ("crash", "crash", "database down", "go away")
    fault_pause = 0.3, 2.0

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._approving = Random(f"{seed} approving")
        parts = self.database.read, self.database.pause, self.verdicts.report
        self.proposed = self.rules = self.database.rules = ProposedRules(self.database.rows.prompts, *parts)

    def run(self) -> list[str]:
        own, policy.APPROVAL_TIMEOUT = policy.APPROVAL_TIMEOUT, TIMEOUT
        try:
            return super().run()
        finally:
            policy.APPROVAL_TIMEOUT = own

    async def begin(self) -> None:
        await super().begin()
        self._approvers = asyncio.create_task(self._approve())

    async def _approve(self) -> None:
        """Answer the questions about rules soon: most proposals must be decided before the next edit."""
        rng, number = self._approving, 0
        while True:
            await asyncio.sleep(rng.choice([0.1, 0.3, 0.5]))
            prompts = self.database.rows.prompts.values()
            still = [p for p in prompts if p.is_open and p.job_type == APPROVALS]
            if still and rng.random() < 0.7:
                number += 1
                await self.command(self._decide(rng, rng.choice(still), f"a{number}"))

    async def end(self) -> None:
        self._approvers.cancel()
        await asyncio.gather(self._approvers, return_exceptions=True)
        await super().end()

    async def _save(self, does: str, *, limited: bool | None = None) -> None:
        """Propose a rule, or another revision of one, which may still wait."""
        rng = self._ruling
        still = [i for i, rule in self.rules.stored.items() if rule.deleted_at is None]
        author = _AUTHORS[0] if limited is not None else rng.choice(_AUTHORS)
        spec = _with_examples(self._spec(does, rng.random() < 0.3))
        if len(still) < 3 or limited is not None:
            self._names += 1
            request_id = f"rule {self._names}"
            await self._call(
                lambda p: p.create(author, "default", spec, request_id, validate_only=False), does
            )
        else:
            rule_id = rng.choice(still)
            await self._call(lambda p: p.update(author, RuleUpdate("default", rule_id, spec)), does)

    async def _end(self, rule_id: str = "") -> None:
        still = [i for i, rule in self.rules.stored.items() if rule.deleted_at is None]
        rule_id = rule_id or self._ruling.choice(still or [""])
        self.proposed.ended.add(rule_id)
        ann, off = _AUTHORS[0], RuleUpdate("default", rule_id, enabled=False)
        if rule_id in still and self._ruling.random() < 0.5:
            await self._call(lambda p: p.update(ann, off), "off")
        elif rule_id in still:
            await self._call(lambda p: p.delete(ann, "default", rule_id), "deleted")

    async def _call(self, call: Any, name: str) -> None:
        """Call PolicyService of a replica, which may crash meanwhile."""
        if not self.network.replicas:
            return
        replica = self._ruling.choice(self.network.replicas)
        try:
            async with asyncio.timeout(5.0):
                await call(_policy_of(replica))
        except (AskbackError, TimeoutError) as error:
            self.note(f"{name}: {type(error).__name__}")
            return
        self.note(name)

    async def _change_rules(self) -> None:
        """At the end the rules stay as they are when all proposals are decided."""
        rng = self._ruling
        while asyncio.get_running_loop().time() < FAULTY:
            await asyncio.sleep(rng.choice([0.05, 0.2, 0.3, 0.5]))
            await rng.choice([self._turn, *[self._save_any] * 5, self._end])()
        for author in _AUTHORS:
            self.rules.turn(author.subject, LAW, active=True)

    def _draw(self, prompt: Prompt, number: int) -> c.Command[Any]:
        if prompt.job_type != APPROVALS:
            return super()._draw(prompt, number)
        return self._decide(self._answering, prompt, f"x{number}")

    def _decide(self, rng: Random, prompt: Prompt, answer_id: str) -> c.AnswerPrompt:
        return c.AnswerPrompt(
            principal=rng.choice([_RITA, _RITA, *_AUTHORS]),
            ref=PromptRef(prompt.prompt_id),
            answer_id=answer_id,
            revision=prompt.revision,
            decision=rng.choice([Decision.ACCEPT, Decision.ACCEPT, Decision.ACCEPT, Decision.REJECT]),
        )

    def remaining_work(self) -> str:
        return ", ".join([*filter(None, [super().remaining_work()]), *self.proposed.waiting()])


def _policy_of(replica: Any) -> Policy:
    found: Policy = replica.parts.policy
    return found


def _with_examples(spec: RuleSpec) -> RuleSpec:
    fits = Example(PromptContent("confirm", "A?", labels=dict(spec.match.labels)), "task")
    return replace(spec, matching=(fits,), not_matching=(Example(PromptContent("clarify", "A?"), "task"),))
