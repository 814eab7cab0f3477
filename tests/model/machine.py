"""A state machine that drives two replicas over one database, and the reference beside them.

Whatever comes, in whatever order, at whichever replica, with whatever fault: every reply is one that the
reference gives, what is stored is what the reference holds, and the invariants of docs/design.md 10 stand. Of
commands that run at the same time, some order must explain all replies.
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
from tests.model.reference import ENDED, Reference, Reply
from tests.model.rig import CRASHES, FAULTS, TTL, Replica, Rig
from tests.model.wording import PEOPLE, Wording, expected
from tests.support.invariants import check_aggregate

Order = tuple[str, dict[str, Any]]
JOBS = ("r1", "r2")
KEYS = ("a", "bb", "c", "dd", "e")
UNSURE = ("StorageUnavailable", "OutcomeUnknown", "Contention")


class Machine(RuleBasedStateMachine):
    """One rule chooses among all that can happen, because Hypothesis leaves whole rules out of a run.

    It draws one number and chooses by that: two replicas race for real, so what there is to choose from
    may differ from run to run, and Hypothesis wants its draws alike.
    """

    rig: Rig
    run: Callable[[Any], Any]
    """Runs a coroutine in the loop in which the rig was opened."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Reference()
        self.words = Wording(self.rig.true)
        self.secrets: dict[str, str] = {}
        self.logs: dict[str, list[Any]] = {}
        self.ended: dict[str, Any] = {}
        self.tokens: dict[str, int] = {}
        self.began: list[dict[str, int]] = [{}, {}]
        self.story: list[str] = []
        self.run(self.rig.begin())

    def teardown(self) -> None:
        self.run(self.rig.stop())

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        dice = Random(seed)
        for name in ("s1", "s2"):
            self.run(self.open_session(name, "wanda" if name == "s1" else "wim"))
        self.run(self.perform([self.create(dice)], [0]))
        self.run(self.perform([("lease", self.lease(dice, "r1"))], [0]))

    @rule(seed=st.integers(0, 2**32))
    def something_happens(self, seed: int) -> None:
        dice = Random(seed)
        one = [self.one, self.one, self.one, self.two, self.fault, self.crash, self.skew]
        other = [self.time, self.sessions, self.feeds, self.sweep]
        if self.rig.is_postgres:
            other.append(self.overtaken)
        happens = dice.choice([*one, *one, *other])
        try:
            self.run(happens(dice))
        except Exception as error:
            # A race may go another way when Hypothesis repeats it: what happened is told at once.
            error.add_note("\n".join([*self.story, f"{happens.__name__}, {seed}"]))
            raise

    # --- what can happen ---

    async def one(self, dice: Random) -> None:
        await self.perform([self.order(dice)], [self.place(dice)])

    async def two(self, dice: Random) -> None:
        """At the same time, at one replica or at two, mostly on one job."""
        count = dice.choice([2, 2, 3])
        orders = [self.order(dice) for _ in range(count)]
        await self.perform(orders, [self.place(dice) for _ in orders])

    async def fault(self, dice: Random) -> None:
        place = self.place(dice)
        self.rig.replicas[place].faulty.next = fault = dice.choice(FAULTS)
        await self.perform([self.order(dice)], [place], fault)
        self.rig.replicas[place].faulty.clear()
        if fault == "cut for ever":
            # Deadlines of a commit that nobody here knows of come by the feed.
            await self.rig.read(self.rig.replicas[place])

    async def crash(self, dice: Random) -> None:
        """A process dies before or after its commit, and another takes its place."""
        place, order = self.place(dice), self.order(dice)
        faulty = self.rig.replicas[place].faulty
        faulty.next = crash = dice.choice(CRASHES)
        doing = asyncio.create_task(self.do(self.rig.replicas[place], order))
        hung = asyncio.create_task(faulty.hung.wait())
        await asyncio.wait((doing, hung), return_when=asyncio.FIRST_COMPLETED)
        reply = doing.result() if doing.done() else ("refused", "StorageUnavailable")
        doing.cancel()
        hung.cancel()
        self.story.append(f"{self.model.now:g} s: {crash} at {place}: {order}: {reply}")
        await self.rig.restart(place)
        due = self.due()  # what was overslept is found at the start
        stored = await self.settle([order, *due], [reply, *[None] * len(due)])
        self.began[place] = {i: p.version for e in stored.values() for i, p in e["prompts"].items()}

    async def skew(self, dice: Random) -> None:
        """A replica's clock is wrong until a write has told it better; deadlines stand all the same."""
        place = self.place(dice)
        every = [(n, k, p) for n, j in self.model.jobs.items() for k, p in j["prompts"].items()]
        names = [(n, k) for n, k, p in every if not p["claim"][0]]
        if not names:
            return
        still = [(n, k) for n, k, p in every if not p["claim"][0] and p["state"] == "PENDING"]
        name, key = dice.choice(still or names)
        until = self.model.jobs[name]["prompts"][key]["until"]
        # One that would win: what is stale or invalid resolves nothing, and is judged without a guard.
        prompt = self.model.jobs[name]["prompts"][key]
        answer = self.answer(dice, name, key)
        answer[1].update(revision=prompt["revision"], decision="ACCEPT", who="ann", why="")
        order = dice.choice([("expire", {"job": name}), answer])
        fast = dice.choice([-40, -4, 4, 40])
        if order[0] == "expire":
            fast = abs(fast)  # by a slow clock nothing is due: it only comes again later
        if until is not None and until >= self.model.now and dice.random() < 0.5:
            # Its time is over, the timers sleep, and a slow clock denies it: only the write can tell.
            await self.rig.turn(until + 1.0 - self.model.now)
            self.model.now, order, fast = until + 1.0, answer, -40
        self.rig.own[place].fast = timedelta(seconds=fast)
        await self.perform([order], [place], "skew")
        self.rig.own[place].fast = timedelta(0)
        self.rig.replicas[place].clock.observe(self.rig.true.now())

    async def time(self, dice: Random) -> None:
        """Time passes; timers fire at once or, as after a pause of the process, later."""
        seconds = dice.choice([0.5, 1.0, 4.0, 5.0, 10.0, 45.0, 70.0])
        await self.rig.turn(seconds)
        self.model.now += seconds
        if not dice.choice([True, True, False]):
            return
        await self.rig.ring()
        await self.settle(self.due(), [None] * len(self.due()))

    def due(self) -> list[Order]:
        """What timers do; those of two jobs have nothing to do with one another."""
        return [(verb, {"job": name}) for verb in ("expire", "end_grace") for name in self.model.jobs]

    async def sessions(self, dice: Random) -> None:
        """Sessions are kept, move to another stream, end, and are reaped."""
        name = dice.choice(["s1", "s2"])
        what = dice.choice(["beat", "beat", "resume", "reap", "reap", "open"])
        store, model = self.rig.replicas[self.place(dice)].database.sessions, self.model.sessions
        lives = self.model.alive(name)
        if what == "beat":
            epoch = max(1, model.get(name, {"epoch": 1})["epoch"] - dice.choice([0, 0, 1]))
            kept = await store.beat([(self.words.sessions[name], epoch)], TTL)
            assert bool(kept) == self.model.alive(name, epoch)
            if kept:
                model[name]["until"] = self.model.now + TTL
        elif what == "resume":
            who = "wanda" if name == "s1" else "wim"
            row = await store.resume(self.words.sessions[name], self.secrets[name], who, "here", TTL)
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
        self.words.sessions[name], self.secrets[name] = row.session_id, secret
        self.words.session_names[row.session_id] = name
        self.model.sessions[name] = {"epoch": 1, "until": self.model.now + TTL}

    async def feeds(self, dice: Random) -> None:
        """A replica catches up with the other, or its feed is down and its memory is not asked."""
        place = self.place(dice)
        replica = self.rig.replicas[place]
        if dice.choice([True, True, False]):
            await self.rig.read(replica)
            await self.check_coherent(replica, self.began[place])
        else:
            replica.hot.suspend()

    async def sweep(self, dice: Random) -> None:
        """Retention, at both at once."""
        await asyncio.gather(*(r.sweep.sweep() for r in self.rig.replicas))
        gone = [("purge", {"job": j}) for j in self.model.jobs]
        await self.settle(gone, [None] * len(gone))

    async def overtaken(self, dice: Random) -> None:
        """A transaction that began first commits last; who reads the log in between must not miss it."""
        slow, order, other = self.rig.replicas[1], self.order(dice), self.order(dice)
        if order[1]["job"] == other[1]["job"]:
            return
        gate = slow.faulty.gate = asyncio.Event()
        doing = asyncio.create_task(self.do(slow, order))
        hung = asyncio.create_task(slow.faulty.hung.wait())
        await asyncio.wait((doing, hung), return_when=asyncio.FIRST_COMPLETED)
        second = await self.do(self.rig.replicas[0], other)
        await self.rig.replicas[0].feed.read()
        gate.set()
        first = await doing
        hung.cancel()
        slow.faulty.clear()
        await self.settle([order, other], [first, second])
        for place, replica in enumerate(self.rig.replicas):
            await self.rig.read(replica)
            await self.check_coherent(replica, self.began[place])

    # --- orders ---

    def place(self, dice: Random) -> int:
        return int(dice.choice([0, 1]))

    def create(self, dice: Random) -> Order:
        missing = [n for n in JOBS if n not in self.model.jobs]
        ask = self.content(dice) if dice.choice([False, False, False, True]) else None
        attempts, priority = dice.randint(1, 3), dice.randint(0, 1)
        return "create", {"job": (missing or JOBS)[0], "ask": ask, "attempts": attempts, "priority": priority}

    def content(self, dice: Random) -> dict[str, Any]:
        final = dice.choice(["EXPIRE", "EXPIRE", "DEFAULT", "FAIL_JOB"])
        timeout = dice.choice([5.0, 10.0, *([0.0] * 2 if final == "EXPIRE" else [])])
        title = dice.choice(["Is it right?", "Is it good?"])
        blocking, law = dice.choice([(True, False), (True, False), (False, False), (True, True)])
        return {"title": title, "blocking": blocking, "timeout": timeout, "final": final, "law": law}

    def lease(self, dice: Random, job: str) -> dict[str, Any]:
        name = dice.choice(["s1", "s2"])
        epoch = self.model.sessions.get(name, {"epoch": 1})["epoch"]
        return {"job": job, "session": name, "epoch": epoch, "who": "wanda" if name == "s1" else "wim"}

    def order(self, dice: Random) -> Order:
        """One command, that mostly fits the state of things: a job that nobody leases is dull."""
        job = dice.choice([*([*self.model.jobs] * 4), "new"])
        if job == "new":
            return self.create(dice)
        j = self.model.jobs[job]
        kinds = [self.person] * 3 if j["prompts"] else []
        kinds += [self.client] * (2 if j["state"] in ENDED else 1)
        if j["session"] is not None:
            kinds += [self.holder] * 6
        elif j["state"] == "PENDING":
            kinds += [lambda dice, job: ("lease", self.lease(dice, job))] * 4
        made: Order = dice.choice(kinds)(dice, job)
        return made

    def client(self, dice: Random, job: str) -> Order:
        verb = dice.choice(["update", "update", "cancel", "delete", "withdraw"])
        if verb == "withdraw":
            keys = [*self.model.jobs[job]["prompts"], "nothing"]
            return verb, {"job": job, "key": dice.choice(keys)}
        priority = {"priority": dice.randint(0, 3)} if verb == "update" else {}
        return verb, {"job": job, **priority}

    def holder(self, dice: Random, job: str) -> Order:
        j = self.model.jobs[job]
        epoch = self.model.sessions.get(j["session"], {"epoch": 1})["epoch"]
        mistake = dice.choice([""] * 8 + ["token", "who", "epoch"])
        who = {"wanda": "wim", "wim": "wanda"}[j["holder"]] if mistake == "who" else j["holder"]
        held = {
            "job": job,
            "who": who,
            "token": j["token"] - (mistake == "token"),
            "epoch": dice.choice([0, epoch]) if mistake != "epoch" else max(1, epoch - 1),
        }
        verbs = ["ask", "ask", "ask", "receive", "progress", "step", "complete", "fail", "release"]
        verb = dice.choice(verbs)
        keys = [*j["prompts"]]
        if verb == "ask":
            new = KEYS[len(keys) % len(KEYS)]
            key = dice.choice([new, new, *keys])
            same = key in keys and dice.random() < 0.5
            ask = j["prompts"][key]["ask"] if same else self.content(dice)
            instead = dice.choice([(), (), *((k,) for k in keys if k != key)])
            return verb, {**held, "key": key, "ask": ask, "instead": instead}
        more: dict[str, Any] = {
            "receive": {"key": dice.choice(keys or ["none"])},
            "progress": {"done": dice.randint(1, 9)},
            "step": {"key": dice.choice("kl"), "value": dice.choice("12")},
            "complete": {"result": '{"n": 9007199254740993}'},
            "fail": {"again": dice.choice([True, True, False])},
        }.get(verb, {})
        return verb, {**held, **more}

    def person(self, dice: Random, job: str) -> Order:
        prompts = self.model.jobs[job]["prompts"]
        still = [k for k, p in prompts.items() if p["state"] == "PENDING"]
        key = dice.choice([*still, *still, *prompts])
        verb = dice.choice(["answer"] * 6 + ["claim", "unclaim"])
        if verb == "answer":
            return self.answer(dice, job, key)
        return verb, {"job": job, "key": key, "who": dice.choice(["ann", "bob"])}

    def answer(self, dice: Random, job: str, key: str) -> Order:
        p = self.model.jobs[job]["prompts"][key]
        if p["answers"] and dice.random() < 0.5:
            id = dice.choice([*p["answers"]])
            (who, revision, decision, why), _ = p["answers"][id]
        else:
            id, who = dice.choice("xyz"), dice.choice(["ann", "ann", "bob"])
            revision = max(1, p["revision"] + dice.choice([0, 0, 0, 0, 1, -1]))
            said = [("ACCEPT", ""), ("ACCEPT", ""), ("REVISE", "so"), ("REVISE", ""), ("EDIT", "")]
            decision, why = dice.choice(said)
        return "answer", {
            "job": job,
            "key": key,
            "who": who,
            "id": id,
            "revision": revision,
            "decision": decision,
            "why": why,
        }

    # --- doing, and judging what came of it ---

    async def do(self, replica: Replica, order: Order) -> Reply:
        verb, what = order
        if "epoch" in what and verb != "lease":
            what = {**what, "session": self.model.jobs[what["job"]]["session"]}
        try:
            said = await replica.engine.execute(self.words.command(verb, **what))
        except AskbackError as error:
            return ("refused", type(error).__name__)
        return self.words.reply(verb, said)

    async def perform(self, orders: Sequence[Order], places: Sequence[int], fault: str = "") -> None:
        self.story.append(f"{self.model.now:g} s: {fault} {list(zip(places, orders, strict=True))}")
        at = [self.rig.replicas[place] for place in places]
        replies = await asyncio.gather(*map(self.do, at, orders))
        if not fault.startswith(("down", "cut for")):
            assert not any(r[1] in UNSURE[:2] for r in replies if r[0] == "refused"), replies
        self.settle_slack = 41.0 if fault == "skew" else 0.0
        await self.settle(orders, replies)
        self.settle_slack = 0.0

    settle_slack = 0.0

    async def settle(self, orders: Sequence[Order], replies: Sequence[Reply | None]) -> dict[str, Any]:
        """Find an order of events, job by job, that explains every reply and what is stored now."""
        stored, logs = await self.rig.stored()
        seen = self.words.learn(stored)
        for name in {what["job"] for _, what in orders} | self.model.jobs.keys() | seen.keys():
            mine = [(o, r) for o, r in zip(orders, replies, strict=True) if o[1]["job"] == name]
            self.explain(name, mine, seen.get(name))
        self.check(stored, logs)
        await self.check_offered()
        return stored

    def explain(self, name: str, said: list[tuple[Order, Reply | None]], seen: dict[str, Any] | None) -> None:
        tried = []
        for sequence in permutations(said):
            unsure = [r is not None and r[0] == "refused" and r[1] in UNSURE for _, r in sequence]
            for happened in product(*([True, False] if u else [True] for u in unsure)):
                model = copy.deepcopy(self.model)
                replies, fits = [], True
                for (order, reply), yes, open_ in zip(sequence, happened, unsure, strict=True):
                    ours = model.say(order[0], **order[1]) if yes else ("not done",)
                    fits = fits and (reply is None or open_ or model.allows(ours, reply))
                    replies.append(ours)
                j = model.jobs.get(name)
                tried.append((replies, expected(j) if j else None))
                if fits and self.same(j, seen):
                    self.model = model
                    return
        raise AssertionError(
            f"{name}: no order of {said} explains what is stored:\n{seen}\n" + "\n".join(map(str, tried))
        )

    def same(self, j: dict[str, Any] | None, seen: dict[str, Any] | None) -> bool:
        if j is None or seen is None:
            return j is None and seen is None
        if self.settle_slack:
            # Written by a clock that was off: the time that was written is the one that holds.
            for part in ("ready", "purge"):
                a, b = j[part], seen[part]
                if a is not None and b is not None and abs(a - b) < self.settle_slack:
                    j[part] = b
        return expected(j) == seen

    def check(self, stored: dict[str, Any], logs: dict[str, list[Any]]) -> None:
        """Invariants 4, 9 and 10, and a memory that is never wrong, only old."""
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
            assert job.token >= self.tokens.get(job_id, 0), "a token fell"
            self.tokens[job_id] = job.token
            if job.state in TERMINAL:
                end = (job.state, job.result_json, job.failure, job.completed_at)
                assert self.ended.setdefault(job_id, end) == end, "an end has changed"
        for replica in self.rig.replicas:
            for job_id, (kept, *_) in replica.hot._entries.items():
                entry = stored.get(job_id)
                if entry is not None and kept.job is not None:
                    assert kept.job.version <= entry["job"].version
                    if kept.job.version == entry["job"].version:
                        assert kept.job == entry["job"]
                        assert all(entry["prompts"][i] == p for i, p in kept.prompts.items())
                        assert all(entry["answers"][i] == s for i, s in kept.submissions.items())

    async def check_offered(self) -> None:
        """Invariant 5: whatever can run is offered to workers, and nothing else."""
        queue = self.rig.replicas[0].database.queue
        found = set((await queue.claimable("default", {"refund": 10})).get("refund", ()))
        ready = {
            self.words.jobs[n]
            for n, j in self.model.jobs.items()
            if j["state"] == "PENDING" and j["ready"] <= self.model.now
        }
        assert found == ready

    async def check_coherent(self, replica: Replica, began: dict[str, int]) -> None:
        """A replica that has read the log to its end remembers nothing old, and has told its followers."""
        stored, _ = await self.rig.stored()
        for job_id, (kept, *_) in replica.hot._entries.items():
            assert job_id in stored, "a deleted job is remembered"
            assert kept.job is not None
            assert kept.job.version == stored[job_id]["job"].version, "memory older than the feed's position"
        for entry in stored.values():
            for prompt_id, prompt in entry["prompts"].items():
                shown = replica.shown.get(prompt_id)
                newest = shown.version if shown else began.get(prompt_id, 0)
                assert newest == prompt.version, "a follower was not told"


assert {"ann", "bob", "wanda", "wim"} <= PEOPLE.keys()
