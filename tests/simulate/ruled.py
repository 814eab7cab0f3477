"""Schedules of rules: they are changed, and their authors leave, while prompts are asked and replicas crash.

A commit takes its time after the decision, so rules change in between. `SimulatedRules` judges each commit.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from typing import Any

from askback import Approval, Exclude
from askback._worker.job import Job
from askback_server.domain import commands as c
from askback_server.domain.approvals import Approval as StoredApproval
from askback_server.domain.decisions import Decision
from askback_server.domain.errors import StorageUnavailable
from askback_server.domain.rules import Effect, GivenAnswer, Match, Route, RuleSpec
from askback_server.domain.stored_rules import StoredRule, delete, switch_off, write_revision
from tests.simulate.rules import LEARN_WITHIN, SimulatedRules
from tests.simulate.schedule import FAULTY
from tests.simulate.voters import VotesSchedule
from tests.support.aggregates import ADMIN

LAW = frozenset({"law"})


class RulesSchedule(VotesSchedule):
    """Like VotesSchedule, with rules that may fill one place, and prompts for one person of a group.

    The last job is created when the rules have not changed for a while."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.database.slow_commits = 0.5
        self._ruling = Random(f"{seed} rules")
        self.rules = SimulatedRules(self.database.read, self.database.pause, self.verdicts.report)
        self.database.rules = self.rules
        self._names = 0

    async def begin(self) -> None:
        for name in ("ann", "bob"):
            self.rules.turn(name, LAW, active=True)
        await self._save("answers")
        await super().begin()
        self.do(self._change_rules())

    async def _task(self, job: Job) -> dict[str, Any]:
        async def once() -> int:
            self._check_not_repeated(job)
            return 7

        seven = await job.step("seven", once)
        of_groups = Approval(per_group={"law": 1, "ops": 1}, rules_may_fill=1)
        two, others = Approval(2, reject_at=2, rules_may_fill=1), Exclude(answerers_of=["a"])
        first, third, fourth = await asyncio.gather(
            job.confirm("A?", key="a", approval=of_groups, labels={"kind": "a"}),
            job.confirm("C?", key="c", approval=two, exclude=others, labels={"kind": "c"}),
            job.confirm("D?", key="d", to=["group:law"], labels={"kind": "d"}),
        )
        last = await job.confirm("E?", key="e", to=["group:law"], labels={"kind": "d"})
        found = {"a": first, "c": third, "d": fourth, "e": last}
        return {**{key: bool(verdict) for key, verdict in found.items()}, "seven": seven}

    async def _write(self) -> None:
        await super()._write()
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, FAULTY + LEARN_WITHIN + 2.0 - now))
        create = c.CreateJob(
            principal=ADMIN, namespace="default", job_type="task", request_id="last", max_attempts=40
        )
        made = await self.command(create)
        while made is None:
            await asyncio.sleep(0.3)
            made = await self.command(create)

    # --- changes ---

    async def _change_rules(self) -> None:
        rng = self._ruling
        while asyncio.get_running_loop().time() < FAULTY:
            await asyncio.sleep(rng.choice([0.02, 0.1, 0.3, 1.0]))
            change = rng.choice(
                [self._turn, self._turn, self._turn, self._save_any, self._save_any, self._end]
            )
            await self._insist(change)
        self.rules.turn("ann", LAW, active=True)
        for rule_id in list(self.rules.stored):
            await self._insist(lambda rule_id=rule_id: self._end(rule_id))
        await self._insist(lambda: self._save("answers", limited=False))

    async def _insist(self, change: Any) -> None:
        """Make a change, again if the database is away."""
        while True:
            try:
                return await change()
            except StorageUnavailable:
                await asyncio.sleep(0.3)

    async def _turn(self) -> None:
        rng = self._ruling
        groups = rng.choice([LAW, LAW, frozenset[str]()])
        self.rules.turn(rng.choice(["ann", "ann", "bob"]), groups, active=rng.random() < 0.8)

    async def _save_any(self) -> None:
        await self._save(self._ruling.choice(["answers", "answers", "answers", "asks", "refuses", "routes"]))

    async def _save(self, does: str, *, limited: bool | None = None) -> None:
        rng = self._ruling
        still = [i for i, rule in self.rules.stored.items() if rule.deleted_at is None]
        if len(still) < 4 or limited is False:
            self._names += 1
            rule_id = f"00000000-0000-7000-8000-{self._names:012d}"
        else:
            rule_id = rng.choice(still)
        spec = self._spec(does, rng.random() < 0.5 if limited is None else limited)
        author = rng.choice(["ann", "bob"]) if limited is None else "ann"

        def decide(stored: StoredRule | None, now: Any) -> StoredRule:
            stored = stored or StoredRule(rule_id, "default", now, now, 0)
            return write_revision(stored, spec, author, now, needs_approval=False)

        await self.rules.change(rule_id, "default", decide)
        self.note(f"{author}'s {rule_id[-2:]} {does}")

    def _spec(self, does: str, limited: bool) -> RuleSpec:
        effects = {
            "answers": Effect.ANSWER,
            "asks": Effect.ASK,
            "refuses": Effect.REFUSE,
            "routes": Effect.ROUTE,
        }
        effect = effects[does]
        labels = {} if self._ruling.random() < 0.3 else {"kind": self._ruling.choice(["a", "d", "d", "d"])}
        return RuleSpec(
            name=does,
            reason="often",
            effect=effect,
            match=Match(labels=labels or {"kind": "d"}, kinds=frozenset({"confirm"})),
            answer=GivenAnswer(Decision.ACCEPT) if effect is Effect.ANSWER else None,
            route=Route(approval=StoredApproval(2, reject_at=1), priority=5)
            if effect is Effect.ROUTE
            else None,
            refusal="no" if effect is Effect.REFUSE else "",
            expires_at=self.database.clock.now() + timedelta(days=1),
            max_uses=self._ruling.randint(1, 3) if limited and effect is not Effect.ASK else 0,
        )

    async def _end(self, rule_id: str = "") -> None:
        still = [i for i, rule in self.rules.stored.items() if rule.deleted_at is None]
        rule_id = rule_id or self._ruling.choice(still or [""])
        if rule_id in still:
            end = self._ruling.choice([delete, switch_off])
            await self.rules.change(rule_id, "default", lambda rule, now: end(rule, now))  # type: ignore[arg-type]

    # --- checks at the end ---

    async def end(self) -> None:
        await super().end()
        rows = self.database.rows
        answers = [s.answer.rule for s in rows.submissions.values() if s.answer.rule]
        self.rules.check_uses([(e.type, e.data or {}) for _, e in rows.log], answers)
