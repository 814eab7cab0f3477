"""A state machine that drives two replicas on one database and compares them with the reference model.

For any sequence of commands and faults on either replica, each reply must be one that the reference gives,
the stored rows must equal the reference's state, and the invariants of docs/design.md 10 must hold. Commands
that run at the same time must be explained by some order of them (linearisability).
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import permutations, product
from random import Random
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from askback_server.domain.aggregate import Aggregate
from askback_server.domain.errors import AskbackError
from askback_server.domain.jobs import TERMINAL
from tests.model.draws import Call, draw_answer, draw_call, draw_creation, draw_lease, draw_replica
from tests.model.reference import Reference
from tests.model.rig import CRASHES, FAULTS, TTL, Replica, Rig
from tests.model.state import Reply
from tests.model.translator import PEOPLE, Translator, to_comparable
from tests.support.invariants import check_aggregate

REFUNDS = ("default", "refund")
UNSURE = ("StorageUnavailable", "OutcomeUnknown", "Contention")


class Machine(RuleBasedStateMachine):
    """A single rule picks the next action, because Hypothesis disables whole rules at random.

    It draws one number and derives its choices from it: the replicas really race, so the choices may differ
    from run to run, but Hypothesis requires the same draws.
    """

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
        self.run(self.rig.begin())

    def teardown(self) -> None:
        self.run(self.rig.stop())

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        rng = Random(seed)
        for name in ("s1", "s2"):
            self.run(self.open_session(name, "wanda" if name == "s1" else "wim"))
        self.run(self.perform([draw_creation(rng, self.model)], [0]))
        self.run(self.perform([("lease", draw_lease(rng, self.model, "r1"))], [0]))

    @rule(seed=st.integers(0, 2**32))
    def run_an_action(self, seed: int) -> None:
        rng = Random(seed)
        calls = [
            self.call_once,
            self.call_once,
            self.call_once,
            self.call_concurrently,
            self.call_with_fault,
            self.crash_replica,
            self.call_with_skewed_clock,
        ]
        other = [self.advance_time, self.change_session, self.read_or_suspend_feed, self.sweep_jobs]
        if self.rig.is_postgres:
            other.append(self.commit_out_of_order)
        action = rng.choice([*calls, *calls, *other])
        try:
            self.run(action(rng))
        except Exception as error:
            # A race may go another way when Hypothesis repeats it, so attach the trace now.
            error.add_note("\n".join([*self.trace, f"{action.__name__}, {seed}"]))
            raise

    # --- actions ---

    async def call_once(self, rng: Random) -> None:
        await self.perform([draw_call(rng, self.model)], [draw_replica(rng)])

    async def call_concurrently(self, rng: Random) -> None:
        """Run two or three calls at the same time, on one or both replicas, mostly on one job."""
        count = rng.choice([2, 2, 3])
        calls = [draw_call(rng, self.model) for _ in range(count)]
        await self.perform(calls, [draw_replica(rng) for _ in calls])

    async def call_with_fault(self, rng: Random) -> None:
        place = draw_replica(rng)
        self.rig.replicas[place].faulty.next = fault = rng.choice(FAULTS)
        await self.perform([draw_call(rng, self.model)], [place], fault)
        self.rig.replicas[place].faulty.clear()
        if fault == "cut for good":
            # The replica never learned of its commit: the feed must bring its deadlines.
            await self.rig.read(self.rig.replicas[place])

    async def crash_replica(self, rng: Random) -> None:
        """Crash a replica before or after a commit, and restart it."""
        place, call = draw_replica(rng), draw_call(rng, self.model)
        faulty = self.rig.replicas[place].faulty
        faulty.next = crash = rng.choice(CRASHES)
        doing = asyncio.create_task(self.execute(self.rig.replicas[place], call))
        hung = asyncio.create_task(faulty.hung.wait())
        await asyncio.wait((doing, hung), return_when=asyncio.FIRST_COMPLETED)
        reply = doing.result() if doing.done() else ("refused", "StorageUnavailable")
        doing.cancel()
        hung.cancel()
        self.trace.append(f"{self.model.now:g} s: {crash} at {place}: {call}: {reply}")
        await self.rig.restart(place)
        due = self.timer_calls()  # timers missed while it was down fire at the start
        stored = await self.settle([call, *due], [reply, *[None] * len(due)])
        self.began[place] = {i: p.version for e in stored.values() for i, p in e["prompts"].items()}

    async def call_with_skewed_clock(self, rng: Random) -> None:
        """Make a call on a replica with a wrong clock: deadlines hold, and the write corrects the clock."""
        place = draw_replica(rng)
        every = [(n, k, p) for n, j in self.model.jobs.items() for k, p in j["prompts"].items()]
        names = [(n, k) for n, k, p in every if not p["claim"][0]]
        if not names:
            return
        still = [(n, k) for n, k, p in every if not p["claim"][0] and p["state"] == "PENDING"]
        name, key = rng.choice(still or names)
        until = self.model.jobs[name]["prompts"][key]["until"]
        # An answer that would be accepted: stale or invalid ones are recorded without a time guard.
        prompt = self.model.jobs[name]["prompts"][key]
        answer = draw_answer(rng, self.model, name, key)
        answer[1].update(revision=prompt["revision"], decision="ACCEPT", who="ann", why="", unseen=False)
        call = rng.choice([("expire", {"job": name}), answer])
        fast = rng.choice([-40, -4, 4, 40])
        if call[0] == "expire":
            fast = abs(fast)  # with a slow clock nothing is due yet
        if until is not None and until >= self.model.now and rng.random() < 0.5:
            # The deadline has passed, but the timers sleep and the clock is slow: only the write can notice.
            await self.rig.advance(until + 1.0 - self.model.now)
            self.model.now, call, fast = until + 1.0, answer, -40
        self.rig.own[place].fast = timedelta(seconds=fast)
        await self.perform([call], [place], "skew")
        self.rig.own[place].fast = timedelta(0)
        self.rig.replicas[place].clock.observe(self.rig.true.now())

    async def advance_time(self, rng: Random) -> None:
        """Advance the time. Timers fire at once or later, as after a pause of the process."""
        seconds = rng.choice([0.5, 1.0, 4.0, 5.0, 10.0, 45.0, 70.0])
        await self.rig.advance(seconds)
        self.model.now += seconds
        if not rng.choice([True, True, False]):
            return
        await self.rig.fire_timers()
        await self.settle(self.timer_calls(), [None] * len(self.timer_calls()))

    def timer_calls(self) -> list[Call]:
        """The calls that timers make, in any order: jobs are independent."""
        return [(verb, {"job": name}) for verb in ("expire", "end_grace") for name in self.model.jobs]

    async def change_session(self, rng: Random) -> None:
        """Renew, resume, open or reap a session."""
        name = rng.choice(["s1", "s2"])
        what = rng.choice(["beat", "beat", "resume", "reap", "reap", "open"])
        store, model = self.rig.replicas[draw_replica(rng)].database.sessions, self.model.sessions
        lives = self.model.alive(name)
        if what == "beat":
            epoch = max(1, model.get(name, {"epoch": 1})["epoch"] - rng.choice([0, 0, 1]))
            kept = await store.beat([(self.translator.sessions[name], epoch)], TTL)
            assert bool(kept) == self.model.alive(name, epoch)
            if kept:
                model[name]["until"] = self.model.now + TTL
        elif what == "resume":
            who = "wanda" if name == "s1" else "wim"
            row = await store.resume(self.translator.sessions[name], self.secrets[name], who, "here", TTL)
            assert (row is not None) == lives
            if row is not None:
                model[name] = {"epoch": model[name]["epoch"] + 1, "until": self.model.now + TTL}
                assert row.epoch == model[name]["epoch"]
        elif what == "open" and name not in model:
            await self.open_session(name, "wanda" if name == "s1" else "wim")
        elif what == "reap":
            await asyncio.gather(*(r.keeper.reap() for r in self.rig.replicas))
            held = {n: j["session"] for n, j in self.model.jobs.items()}
            lost = [("lose", {"job": n, "session": held[n]}) for n in self.model.reap()]
            await self.settle(lost, [None] * len(lost))

    async def open_session(self, name: str, who: str) -> None:
        row, secret = await self.rig.replicas[0].database.sessions.open("default", who, who, "here", TTL)
        self.translator.sessions[name], self.secrets[name] = row.session_id, secret
        self.translator.session_names[row.session_id] = name
        self.model.sessions[name] = {"epoch": 1, "until": self.model.now + TTL}

    async def read_or_suspend_feed(self, rng: Random) -> None:
        """A replica reads the feed, or its feed fails and its memory must not be used."""
        place = draw_replica(rng)
        replica = self.rig.replicas[place]
        if rng.choice([True, True, False]):
            await self.rig.read(replica)
            await self.check_coherent(replica, self.began[place])
        else:
            replica.hot.suspend()

    async def sweep_jobs(self, rng: Random) -> None:
        """Run the sweep of both replicas at once: jobs past their retention are deleted."""
        await asyncio.gather(*(r.sweep.sweep() for r in self.rig.replicas))
        purges = [("purge", {"job": j}) for j in self.model.jobs]
        await self.settle(purges, [None] * len(purges))

    async def commit_out_of_order(self, rng: Random) -> None:
        """A transaction that began first commits last: a reader in between must not skip its events."""
        slow, call, other = self.rig.replicas[1], draw_call(rng, self.model), draw_call(rng, self.model)
        if call[1]["job"] == other[1]["job"]:
            return
        gate = slow.faulty.gate = asyncio.Event()
        doing = asyncio.create_task(self.execute(slow, call))
        hung = asyncio.create_task(slow.faulty.hung.wait())
        await asyncio.wait((doing, hung), return_when=asyncio.FIRST_COMPLETED)
        second = await self.execute(self.rig.replicas[0], other)
        await self.rig.replicas[0].feed.read()
        gate.set()
        first = await doing
        hung.cancel()
        slow.faulty.clear()
        await self.settle([call, other], [first, second])
        for place, replica in enumerate(self.rig.replicas):
            await self.rig.read(replica)
            await self.check_coherent(replica, self.began[place])

    # --- running calls and checking the results ---

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
        at = [self.rig.replicas[place] for place in places]
        replies = await asyncio.gather(*map(self.execute, at, calls))
        if not fault.startswith(("down", "cut for")):
            assert not any(r[1] in UNSURE[:2] for r in replies if r[0] == "refused"), replies
        self.settle_slack = 41.0 if fault == "skew" else 0.0
        await self.settle(calls, replies)
        self.settle_slack = 0.0

    settle_slack = 0.0

    async def settle(self, calls: Sequence[Call], replies: Sequence[Reply | None]) -> dict[str, Any]:
        """For each job, find an order of the calls that explains all replies and the stored rows."""
        stored, logs = await self.rig.read_all()
        seen = self.translator.learn(stored)
        for name in {what["job"] for _, what in calls} | self.model.jobs.keys() | seen.keys():
            mine = [(o, r) for o, r in zip(calls, replies, strict=True) if o[1]["job"] == name]
            self.explain(name, mine, seen.get(name))
        self.check(stored, logs)
        await self.check_offered()
        return stored

    def explain(self, name: str, calls: list[tuple[Call, Reply | None]], seen: dict[str, Any] | None) -> None:
        tried = []
        for sequence in permutations(calls):
            unsure = [r is not None and r[0] == "refused" and r[1] in UNSURE for _, r in sequence]
            for happened in product(*([True, False] if u else [True] for u in unsure)):
                model = copy.deepcopy(self.model)
                replies, fits = [], True
                for (call, reply), done, open_ in zip(sequence, happened, unsure, strict=True):
                    ours = model.execute(call[0], **call[1]) if done else ("not done",)
                    fits = fits and (reply is None or open_ or model.allows(ours, reply))
                    replies.append(ours)
                j = model.jobs.get(name)
                tried.append((replies, to_comparable(j) if j else None))
                if fits and self.equals_stored(j, seen):
                    self.model = model
                    return
        raise AssertionError(
            f"{name}: no order of {calls} explains what is stored:\n{seen}\n" + "\n".join(map(str, tried))
        )

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


assert {"ann", "bob", "wanda", "wim"} <= PEOPLE.keys()
