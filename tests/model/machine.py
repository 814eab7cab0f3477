"""A state machine that drives two replicas on one database and compares them with the reference model.

For any sequence of commands and faults on either replica, each reply must be one that the reference gives,
the stored rows must equal the reference's state, and the invariants of docs/design.md 10 must hold. Commands
that run at the same time must be explained by some order of them (linearisability).
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.model.draws import (
    JOBS,
    Call,
    draw_answer,
    draw_ask,
    draw_call,
    draw_creation,
    draw_deputy,
    draw_lease,
    draw_replica,
    draw_reservation,
)
from tests.model.driver import ASKING, at
from tests.model.proposing import Proposing
from tests.model.rig import CRASHES, FAULTS, TTL
from tests.model.rule_changes import (
    Turned,
    draw_hindrance,
    draw_rule_change,
)


class Machine(Proposing):
    """A single rule picks the next action, because Hypothesis disables whole rules at random.

    It draws one number and derives its choices from it: the replicas really race, so the choices may differ
    from run to run, but Hypothesis requires the same draws.
    """

    with_rules: bool | None = None
    with_absences: bool | None = None
    """Whether runs have these. None: it is drawn for each."""
    proposals = 3
    """The weight of steps about proposed rules among the others, in runs with rules."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        rng = Random(seed)
        for name in ("s1", "s2"):
            self.run(self.open_session(name, "wanda" if name == "s1" else "wim"))
        drawn = rng.random() < 0.7
        self.has_rules = drawn if self.with_rules is None else self.with_rules
        if self.has_rules:
            self.run(self.begin_with_rules(rng))
        drawn = Random(f"{seed} absences").random() < 0.5
        if drawn if self.with_absences is None else self.with_absences:
            self.run(self.begin_with_absences())
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
        if self.has_rules:
            other += [self.change_rules] * 3 + [self.change_rules_before_a_commit] * 3
            other += [self.change_proposals] * self.proposals
        if self.has_absences:
            other += [self.change_absences] * 4
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
        await self.perform([self.draw(rng)], [draw_replica(rng)])

    async def call_concurrently(self, rng: Random) -> None:
        """Run two or three calls at the same time, on one or both replicas, mostly on one job."""
        count = rng.choice([2, 2, 3])
        calls = [self.draw(rng) for _ in range(count)]
        await self.perform(calls, [draw_replica(rng) for _ in calls])

    async def call_with_fault(self, rng: Random) -> None:
        place = draw_replica(rng)
        self.rig.replicas[place].faulty.next = fault = rng.choice(FAULTS)
        await self.perform([self.draw(rng)], [place], fault)
        self.rig.replicas[place].faulty.clear()
        await self.load_rules(place)  # a write that failed may have counted as a use in memory
        if fault == "cut for good":
            # The replica never learned of its commit: the feed must bring its deadlines.
            await self.rig.read(self.rig.replicas[place])

    async def crash_replica(self, rng: Random) -> None:
        """Crash a replica before or after a commit, and restart it."""
        place = draw_replica(rng)
        call = at(place, self.draw(rng))
        faulty = self.rig.replicas[place].faulty
        faulty.next = crash = rng.choice(CRASHES)
        doing = asyncio.create_task(self.execute(self.rig.replicas[place], call))
        hung = asyncio.create_task(faulty.hung.wait())
        await asyncio.wait((doing, hung), return_when=asyncio.FIRST_COMPLETED)
        reply = doing.result() if doing.done() else ("refused", "StorageUnavailable")
        doing.cancel()
        hung.cancel()
        self.trace.append(f"{self.model.now:g} s: {crash} at {place}: {call}: {reply}")
        await self.settle([call], [reply])
        await self.rig.restart(place)
        self.model.load(place)
        self.model.listen(place, first=True)
        due = self.timer_calls()  # timers missed while it was down fire at the start
        stored = await self.settle(due, [None] * len(due))
        self.began[place] = {i: p.version for e in stored.values() for i, p in e["prompts"].items()}

    async def call_with_skewed_clock(self, rng: Random) -> None:
        """Make a call on a replica with a wrong clock: deadlines hold, and the write corrects the clock."""
        place = draw_replica(rng)
        # Not jobs that are deleted soon: for a fast clock they are deleted already.
        late = self.model.now + 41.0
        jobs = {n: j for n, j in self.model.jobs.items() if j["purge"] is None or j["purge"] > late}
        # Nor those that absences concern: their beginning is not judged by the database's clock.
        jobs = {n: j for n, j in jobs.items() if n in JOBS}
        jobs = {n: j for n, j in jobs.items() if not any(p["ask"]["names"] for p in j["prompts"].values())}
        every = [(n, k, p) for n, j in jobs.items() for k, p in j["prompts"].items()]
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
        await self.pass_time(seconds)
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
        slow, call, other = self.rig.replicas[1], at(1, self.draw(rng)), at(0, self.draw(rng))
        if call[1]["job"] == other[1]["job"]:
            return
        if self.has_rules and call[0] in ASKING and other[0] in ASKING:
            return  # both may use a rule: one would wait for the other
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

    # --- rules ---

    def draw(self, rng: Random) -> Call:
        """Draw a call; with rules often one that asks, with absences often one of a substitute."""
        if self.has_absences and rng.random() < 0.5:
            return rng.choice([draw_ask, draw_deputy])(rng, self.model)
        draws = [draw_ask] * 12 + [draw_reservation] * 3 + [draw_call] * 5
        return (rng.choice(draws) if self.has_rules else draw_call)(rng, self.model)

    async def begin_with_rules(self, rng: Random) -> None:
        for name, groups in (("ann", {"law"}), ("bob", set[str]()), ("cid", set[str]())):
            await self.change_rule(Turned(name, True, frozenset(groups)))
        for _ in range(rng.randint(2, 4)):
            await self.change_rule(draw_rule_change(rng, self.model))
        for place in (0, 1):
            await self.load_rules(place)
        await self.pass_time(0.5)

    async def change_rules(self, rng: Random) -> None:
        """Change rules and their authors. A replica that does not read them now is outdated."""
        for _ in range(rng.choice([1, 1, 2])):
            change = draw_rule_change(rng, self.model)
            if isinstance(change, Turned) and self.turned.get(change.name) == self.model.now:
                # The time of the change is the version of what the directory says.
                await self.pass_time(0.5)
            await self.change_rule(change)
        read = rng.choice([(0, 1), (0, 1), (0,), (1,), ()])
        self.trace.append(f"read by {read}")
        for place in read:
            await self.load_rules(place)

    async def change_rules_before_a_commit(self, rng: Random) -> None:
        """Change rules between the decision of a command and its write, which may rest on them."""
        place, call = draw_replica(rng), draw_ask(rng, self.model)
        change = rng.choice([draw_rule_change, draw_hindrance, draw_hindrance])(rng, self.model)
        if isinstance(change, Turned) and self.turned.get(change.name) == self.model.now:
            await self.pass_time(0.5)

        faulty = self.rig.replicas[place].faulty
        faulty.next, faulty.meanwhile = "meanwhile", partial(self.change_rule, change)
        await self.perform([call], [place], "rules change before the commit:")
        faulty.clear()
