"""Steps of the state machine in which rules are proposed, overtaken, accepted and activated."""

from __future__ import annotations

import asyncio
from datetime import datetime
from random import Random

from askback_server.domain.principals import Principal, Role
from askback_server.domain.stored_rules import StoredRule, write_revision
from askback_server.engine.policy import RuleUpdate
from tests.model.away import Away
from tests.model.draws import Call, draw_answer
from tests.model.proposals import job_about
from tests.model.rule_changes import draw_rule, rule_id_of, spec_with_examples
from tests.model.rules import Rule


class Proposing(Away):
    """Each replica has a Policy, which runs only when a step lets it."""

    async def change_proposals(self, rng: Random) -> None:
        place, model = rng.choice([0, 1]), self.model
        waiting = list(model.proposals)
        jobs = [job for _, job in model.proposals.values() if model.jobs.get(job, {}).get("prompts")]
        if jobs and rng.random() < 0.4:
            name, call = draw_answer(rng, model, rng.choice(jobs), "prompt")
            who, decision = (
                rng.choice(["ann", "ann", call["who"]]),
                rng.choice(["ACCEPT", "ACCEPT", "REJECT"]),
            )
            known = call["id"] in model.jobs[call["job"]]["prompts"]["prompt"]["answers"]
            call = call if known else {**call, "who": who, "decision": decision, "revision": 1}
            await self.perform([(name, call)], [place])
            return
        what = rng.choice(["propose", "propose", "settle", "settle", "settle", "settle", "end", "overtake"])
        if what == "settle" or (what != "propose" and not waiting):
            await self.settle_proposals(rng.choice([(0,), (1,), (0, 1), (0, 1)]))
        elif what == "end":
            await self.end_rule(place, rng.choice(waiting), deleted=rng.random() < 0.5)
        else:
            rule = draw_rule(rng, model, rng.choice(waiting) if what == "overtake" else "")
            is_known = rule.name in model.newest
            await (self.update_rule(place, rule) if is_known else self.propose_rule(rule))

    async def propose_rule(self, rule: Rule) -> None:
        """Store a proposal, and crash before the job is created that asks about it."""
        self.trace.append(f"{self.model.now:g} s: proposed {rule}")
        rule_id, spec = rule_id_of(rule.name), spec_with_examples(rule, self.rig.true.at)

        def decide(stored: StoredRule | None, now: datetime) -> StoredRule:
            stored = stored or StoredRule(rule_id, "default", now, now, 0)
            return write_revision(stored, spec, rule.author, now, needs_approval=True)

        await self.rig.replicas[0].database.rules.change(rule_id, "default", decide)
        self.model.propose(rule)

    async def update_rule(self, place: int, rule: Rule) -> None:
        """Propose another revision of a rule by a call: the proposal before is overtaken."""
        self.trace.append(f"{self.model.now:g} s: proposed at {place}: {rule}")
        spec, rule_id = spec_with_examples(rule, self.rig.true.at), rule_id_of(rule.name)
        update = RuleUpdate("default", rule_id, spec)
        await self.rig.replicas[place].policy.update(_policy_role(rule.author), update)
        before = self.model.proposals.get(rule.name)
        self.model.propose(rule)
        calls = [self._withdraw(before.job)] if before is not None and before.job else []
        await self._settle_jobs([*calls, self._ask(rule.name)])
        self.model.load(place)

    async def end_rule(self, place: int, name: str, *, deleted: bool) -> None:
        """Switch off or delete a rule with a proposal, which ends with it."""
        self.trace.append(f"{self.model.now:g} s: {name} ends at {place}, deleted: {deleted}")
        policy, ann = self.rig.replicas[place].policy, _policy_role("ann")
        if deleted:
            await policy.delete(ann, "default", rule_id_of(name))
        else:
            await policy.update(ann, RuleUpdate("default", rule_id_of(name), enabled=False))
        job = self.model.proposals[name].job
        self.model.drop(name)
        self.model.switch_off(name, deleted=deleted)
        await self._settle_jobs([self._withdraw(job)] if job else [])
        self.model.load(place)

    async def settle_proposals(self, places: tuple[int, ...]) -> None:
        """Replicas look at the proposals that they have read, at the same time."""
        self.trace.append(f"{self.model.now:g} s: {places} settle {self.model.proposals}")
        for place in places:
            await self.rig.replicas[place].rules.load()
        await asyncio.gather(*(self.rig.replicas[place].policy.settle() for place in places))
        calls = []
        for name, (_, job) in list(self.model.proposals.items()):
            if job:
                self.model.decide(name)
            else:
                calls.append(self._ask(name))
        for place in places:
            self.model.load(place)
        await self._settle_jobs(calls)

    def _withdraw(self, job: str) -> Call:
        return "end_proposal", {"job": job, "at": 0}

    def _ask(self, name: str) -> Call:
        rule = self.model.proposals[name].rule
        job = job_about(rule, rule_id_of(name))
        self.model.note_job(name, job)
        return "ask_about", {"job": job, "rule": rule, "at": 0}

    async def _settle_jobs(self, calls: list[Call]) -> None:
        """Compare what the service did with what it should have done, and with the rules that it has."""
        await self.settle(calls, [None] * len(calls))
        for rule_id, stored in (await self.rig.read_rules()).items():
            name = f"r{int(rule_id[-12:])}"
            waiting, on = self.model.proposals.get(name), self.model.book.rules.get(name)
            proposal, active = stored.proposal, stored.active
            found = (proposal.revision, proposal.author) if proposal is not None else None
            assert found == ((waiting.rule.revision, waiting.rule.author) if waiting is not None else None)
            is_on = active is not None and active.enabled
            assert is_on == (on is not None), f"{name} is on: {is_on}"
            if active is not None and on is not None:
                assert (active.revision, active.author) == (on.revision, on.author)
                assert stored.authorised_by != active.author


def _policy_role(name: str) -> Principal:
    return Principal(name, frozenset({Role.POLICY, Role.CONSOLE}))
