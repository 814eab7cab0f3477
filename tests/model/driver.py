"""Runs calls on two replicas and in the reference model, and compares replies and rows."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence
from itertools import permutations, product
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine

from askback_server.domain.aggregate import Aggregate
from askback_server.domain.errors import AskbackError
from askback_server.domain.jobs import TERMINAL
from tests.model.comparable import to_comparable
from tests.model.draws import Call
from tests.model.reference import Reference
from tests.model.rig import Replica, Rig
from tests.model.rule_changes import RuleChange, Saved, Switched, make, rule_name_of
from tests.model.rules import Choice
from tests.model.state import Reply
from tests.model.translator import PEOPLE, Translator
from tests.support.invariants import check_aggregate

ASKING = ("ask", "create")
"""The calls to which rules apply."""
REFUNDS = ("default", "refund")
MOST_SHOWN = 50
"""Orders that an error shows."""
UNSURE = ("StorageUnavailable", "OutcomeUnknown", "Contention")


class Driver(RuleBasedStateMachine):
    """What the actions of the state machine are made of."""

    rig: Rig
    run: Callable[[Any], Any]
    """Runs a coroutine on the event loop in which the rig was opened."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Reference()
        self.translator = Translator(self.rig.true)
        self.secrets: dict[str, str] = {}
        self.logs: dict[str, list[Any]] = {}
        self.ended: dict[str, Any] = {}
        self.tokens: dict[str, int] = {}
        self.began: list[dict[str, int]] = [{}, {}]
        self.trace: list[str] = []
        self.has_rules = self.has_absences = False
        self.turned: dict[str, float] = {}
        """When the directory last said something else of an author."""
        self.run(self.rig.begin())

    def teardown(self) -> None:
        self.run(self.rig.stop())

    async def pass_time(self, seconds: float) -> None:
        await self.rig.advance(seconds)
        self.model.now += seconds

    async def change_rule(self, change: RuleChange) -> None:
        self.trace.append(f"{self.model.now:g} s: {change}")
        await make(change, self.rig.replicas[0].database, self.rig.true.at)
        if isinstance(change, Saved):
            self.model.save(change.rule)
        elif isinstance(change, Switched):
            self.model.switch_off(change.name, deleted=change.deleted)
        else:
            self.turned[change.name] = self.model.now
            self.model.note_author(change.name, active=change.active, groups=change.groups)

    async def load_rules(self, place: int) -> None:
        if self.has_rules:
            await self.rig.replicas[place].rules.load()
            self.model.load(place)

    async def execute(self, replica: Replica, call: Call) -> Reply:
        verb, what = call
        if "epoch" in what and verb != "lease":
            what = {**what, "session": self.model.jobs[what["job"]]["session"]}
        try:
            result = await replica.engine.execute(self.translator.command(verb, **what))
        except AskbackError as error:
            return ("refused", type(error).__name__)
        return self.translator.reply(verb, result)

    async def perform(self, calls: Sequence[Call], places: Sequence[int], fault: str = "") -> None:
        self.trace.append(f"{self.model.now:g} s: {fault} {list(zip(places, calls, strict=True))}")
        calls = [at(place, call) for place, call in zip(places, calls, strict=True)]
        replicas = [self.rig.replicas[place] for place in places]
        replies = await asyncio.gather(*map(self.execute, replicas, calls))
        if not fault.startswith(("down", "cut for")):
            assert not any(r[1] in UNSURE[:2] for r in replies if r[0] == "refused"), replies
        self.settle_slack = 41.0 if fault == "skew" else 0.0
        await self.settle(calls, replies)
        self.settle_slack = 0.0

    settle_slack = 0.0

    async def settle(self, calls: Sequence[Call], replies: Sequence[Reply | None]) -> dict[str, Any]:
        """For each job, find an order of the calls that explains all replies and the stored rows."""
        stored, logs = await self.rig.read_all()
        seen = self.translator.learn(stored, logs)
        alone = sum(verb in ASKING for verb, _ in calls) == 1
        for name in {what["job"] for _, what in calls} | self.model.jobs.keys() | seen.keys():
            mine = [(o, r) for o, r in zip(calls, replies, strict=True) if o[1]["job"] == name]
            self.explain(name, mine, seen.get(name), alone=alone)
        if self.has_rules:
            counted = {rule_name_of(id): n for id, n in (await self.rig.read_uses()).items() if n}
            assert counted == self.model.uses, "uses of rules are counted otherwise"
        self.check(stored, logs)
        await self.check_offered()
        return stored

    def explain(
        self,
        name: str,
        calls: list[tuple[Call, Reply | None]],
        seen: dict[str, Any] | None,
        *,
        alone: bool,
    ) -> None:
        """`alone`: no more than one of all calls may use rules."""
        tried = []
        for sequence in permutations(calls):
            unsure = [r is not None and r[0] == "refused" and r[1] in UNSURE for _, r in sequence]
            ways = (
                [*self.knowledge(call, alone=alone), *(["not done"] if u else [])]
                for (call, _), u in zip(sequence, unsure, strict=True)
            )
            for known in product(*ways):
                model = copy.deepcopy(self.model)
                replies, fits = [], True
                for (call, reply), knew, open_ in zip(sequence, known, unsure, strict=True):
                    model.choice, place = (None, 0) if isinstance(knew, str) else knew
                    ours = (
                        model.execute(call[0], **{"at": place, **call[1]})
                        if knew != "not done"
                        else ("not done",)
                    )
                    fits = fits and (reply is None or open_ or model.allows(ours, reply))
                    fits = fits and not model.impossible
                    replies.append(ours)
                j = model.jobs.get(name)
                tried.append((replies, to_comparable(j) if j else None))
                if fits and self.equals_stored(j, seen):
                    self.model = model
                    return
        ways_tried = "\n".join(map(str, tried[:MOST_SHOWN]))
        raise AssertionError(f"{name}: no order of {calls} explains what is stored:\n{seen}\n{ways_tried}")

    def knowledge(self, call: Call, *, alone: bool) -> Sequence[tuple[Choice | None, int] | str]:
        """What a replica may have known of rules when it ran a call, and which replica that was."""
        verb, what = call
        if "at" not in what:  # of a timer, which each replica has
            return [(None, 0), (None, 1)] if self.has_absences else [(None, 0)]
        if not self.has_rules or verb not in ASKING:
            return [(None, what["at"])]
        return [(choice, what["at"]) for choice in self.model.choices(what["at"], alone=alone)]

    def equals_stored(self, j: dict[str, Any] | None, seen: dict[str, Any] | None) -> bool:
        if j is None or seen is None:
            return j is None and seen is None
        if self.settle_slack:
            # Written with a skewed clock: the written time is the one that counts.
            for part in ("ready", "purge"):
                a, b = j[part], seen[part]
                if a is not None and b is not None and abs(a - b) < self.settle_slack:
                    j[part] = b
        return to_comparable(j) == seen

    def check(self, stored: dict[str, Any], logs: dict[str, list[Any]]) -> None:
        """Check invariants 4, 9 and 10, and that a replica's memory may be outdated but never wrong."""
        for job_id, log in logs.items():
            assert [e.seq for e in log] == list(range(1, len(log) + 1)), "a gap in the log"
            before = self.logs.get(job_id, [])
            assert log[: len(before)] == before, "the past has changed"
            self.logs[job_id] = log
            entry = stored.get(job_id)
            if entry is None:
                check_aggregate(Aggregate(), log)
                continue
            job = entry["job"]
            check_aggregate(Aggregate(job, entry["prompts"], entry["answers"]), log)
            assert job.token >= self.tokens.get(job_id, 0), "a fencing token decreased"
            self.tokens[job_id] = job.token
            if job.state in TERMINAL:
                end = (job.state, job.result_json, job.failure, job.completed_at)
                assert self.ended.setdefault(job_id, end) == end, "a terminal state has changed"
        for replica in self.rig.replicas:
            for job_id, cached in replica.hot._entries.items():
                kept, entry = cached.aggregate, stored.get(job_id)
                if entry is not None and kept.job is not None:
                    assert kept.job.version <= entry["job"].version
                    if kept.job.version == entry["job"].version:
                        assert kept.job == entry["job"]
                        assert all(entry["prompts"][i] == p for i, p in kept.prompts.items())
                        assert all(entry["answers"][i] == s for i, s in kept.submissions.items())

    async def check_offered(self) -> None:
        """Check invariant 5: exactly the jobs that can run are offered to workers."""
        queue = self.rig.replicas[0].database.queue
        found = set((await queue.claimable({REFUNDS: 10})).get(REFUNDS, []))
        ready = {
            self.translator.jobs[n]
            for n, j in self.model.jobs.items()
            if j["state"] == "PENDING" and j["ready"] <= self.model.now
        }
        assert found == ready

    async def check_coherent(self, replica: Replica, began: dict[str, int]) -> None:
        """After reading the whole log, no job in memory is outdated and all followers are notified."""
        stored, _ = await self.rig.read_all()
        for job_id, cached in replica.hot._entries.items():
            kept = cached.aggregate
            assert job_id in stored, "a deleted job is remembered"
            assert kept.job is not None
            assert kept.job.version == stored[job_id]["job"].version, "memory older than the feed's position"
        for entry in stored.values():
            for prompt_id, prompt in entry["prompts"].items():
                shown = replica.shown.get(prompt_id)
                newest = shown.version if shown else began.get(prompt_id, 0)
                assert newest == prompt.version, "a follower was not notified"


def at(place: int, call: Call) -> Call:
    """A call with its replica: what that knows of rules and absences makes a difference."""
    verb, what = call
    return verb, {**what, "at": place}


assert {"ann", "bob", "wanda", "wim"} <= PEOPLE.keys()
