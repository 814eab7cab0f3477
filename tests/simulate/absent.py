"""Schedules of absences: people go away and come back while prompts that name them are open.

Substitutes and delegates answer and vote, escalations overtake them, and replicas crash between the claim of
a review and its end. `RightsJudge` judges each commit and what becomes of the prompts.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from askback_server.domain import commands as c
from askback_server.domain.absence_rules import AbsenceSetting
from askback_server.domain.absences import Absence
from askback_server.domain.approvals import Approval
from askback_server.domain.commands import PromptRef
from askback_server.domain.content import Audience, EscalationStep, Exclusion, PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.delegations import Delegation, DelegationCause, DelegationMode, Delegations
from askback_server.domain.errors import AskbackError
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt
from askback_server.domain.routing_commands import DelegatePrompt, ReturnPrompt
from askback_server.domain.vote_commands import WithdrawAnswer
from askback_server.engine import absence_reviews, known_absences
from tests.simulate.absences import SimulatedAbsences
from tests.simulate.absent_judge import LEARN_WITHIN, WITHIN, RightsJudge
from tests.simulate.consoles import ConverseSchedule
from tests.simulate.judges import check_stored
from tests.simulate.people import People
from tests.simulate.schedule import FAULTY
from tests.support.aggregates import ADMIN

LEASE = timedelta(seconds=4)
"""Of a review. Shorter than the pause before its repetition, which would hide that a crash loses one."""
OTHERS = [Principal(name, frozenset({Role.CONSOLE})) for name in ("cid", "dan", "eve")]
NAMES = ("ann", "bob", "cid", "dan", "eve")


class AbsencesSchedule(ConverseSchedule):
    """Questions name people, who set, change and end absences at any replica. Two people have consoles."""

    faults = ("", "crash", "database down", "go away")
    fault_pause = 0.5, 4.0
    writes = 30

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.people = People(OTHERS)
        self._leaving = Random(f"{seed} leaving")
        self._deciding = Random(f"{seed} deciding")
        self._crashing = Random(f"{seed} crashing")
        self._number = 0
        self.database.slow_commits = 0.4
        self.absences = SimulatedAbsences(seed, self.database.pause, self._on_granted)
        self.database.absences = self.absences
        self.rights = RightsJudge(self.database.rows, self.absences, self.people, self.verdicts.report)
        self.database.on_commit = self.rights.on_commit

    def run(self) -> list[str]:
        own = absence_reviews.LEASE, known_absences.monotonic
        absence_reviews.LEASE = LEASE
        known_absences.monotonic = lambda: asyncio.get_running_loop().time()
        try:
            return super().run()
        finally:
            absence_reviews.LEASE, known_absences.monotonic = own

    async def begin(self) -> None:
        await super().begin()
        self.do(self._leave())
        self.do(self._decide())
        self.do(self._decide_at_the_end())
        self.do(self._ask_last())
        self.do(self.rights.watch(FAULTY + WITHIN + 3.0))

    # --- crashes ---

    def _on_granted(self, task: asyncio.Task[Any] | None) -> None:
        """The replica that has claimed a review often crashes before its end, if it changes prompts."""
        is_faulty = asyncio.get_running_loop().time() < FAULTY
        is_needed = is_faulty and self.rights.is_behind()
        if is_needed and len(self.network.replicas) > 1 and self._crashing.random() < 0.7:
            [replica] = [each for each in self.replicas if each.runs(task)]
            self.do(self._crash_soon(replica))

    async def _crash_soon(self, replica: Any) -> None:
        await asyncio.sleep(self._crashing.uniform(0.005, 0.06))
        if replica in self.network.replicas and len(self.network.replicas) > 1:
            self.note("crash in a review")
            await self.crash(replica, self._crashing)

    # --- questions ---

    def _content(self) -> PromptContent:
        """A question to one or two people by name, sometimes with a group, that may escalate."""
        rng = self._writing
        named = frozenset(rng.sample(NAMES, rng.choice([1, 1, 2])))
        groups = frozenset({"law"}) if rng.random() < 0.2 else frozenset[str]()
        steps = [
            EscalationStep(timedelta(seconds=after), Audience(frozenset({rng.choice(NAMES)})), replace=swap)
            for after, swap in ((3.0, rng.random() < 0.3), (6.0, False))
        ]
        both = Approval(2, reject_at=2) if rng.random() < 0.4 else None
        timeout = rng.choice([None, None, None, 4.0, 60.0])
        others = frozenset(rng.sample(NAMES, 1)) if rng.random() < 0.3 else None
        return replace(
            super()._content(),
            audience=Audience(named, groups),
            approval=both,
            exclusion=Exclusion(users=others - named) if others else None,
            escalation=tuple(steps[: rng.choice([0, 0, 1, 2])]),
            timeout=timedelta(seconds=timeout) if timeout else None,
        )

    async def _close(self) -> None:
        """Few prompts are cancelled: they are to be there when people go away."""
        if self._writing.random() < 0.2:
            await super()._close()

    async def _ask_last(self) -> None:
        """Ask at every replica for the people who are away when all replicas know it."""
        await asyncio.sleep(FAULTY + LEARN_WITHIN + 2.0)
        now = self.database.clock.now()
        for absence in [each for each in self.absences.stored.values() if each.holds(now)]:
            content = PromptContent(
                kind="confirm", title="?", audience=Audience(frozenset({absence.subject}))
            )
            for replica in self.network.replicas:
                create = c.CreateJob(principal=ADMIN, namespace="default", job_type="only", prompt=content)
                await replica.parts.engine.execute(create)

    # --- absences ---

    async def _leave(self) -> None:
        rng = self._leaving
        while asyncio.get_running_loop().time() < FAULTY:
            await asyncio.sleep(rng.choice([0.1, 0.3, 0.6, 1.0]))
            now = self.database.clock.now()
            still = [each for each in self.absences.stored.values() if each.until_at > now]
            what = rng.random()
            if still and what < 0.1:
                await self._end_absence(rng.choice(still))
            else:
                await self._set_absence(rng.choice(still) if still and what < 0.25 else None)

    async def _set_absence(self, before: Absence | None) -> None:
        rng, now = self._leaving, self.database.clock.now()
        still = [p for p in self.database.rows.prompts.values() if p.is_open]
        asked = sorted({name for p in still for name in p.content.reach.users})
        subject = rng.choice(asked if asked and rng.random() < 0.8 else NAMES)
        substitute = rng.choice([name for name in NAMES if name != subject])
        from_at = rng.choice([None, None, None, now + timedelta(seconds=rng.uniform(0.2, 3.0))])
        length = rng.choice([1.0, 2.0, 4.0, 700.0, 700.0])
        setting = AbsenceSetting(
            "default",
            before.subject if before is not None else subject,
            (from_at or now) + timedelta(seconds=length),
            from_at,
            rng.choice([substitute, substitute, substitute, ""]),
            absence_id=before.absence_id if before is not None else "",
        )
        await self._call(f"{setting.subject} is away", lambda keeper: keeper.set_absence(ADMIN, setting))

    async def _end_absence(self, absence: Absence) -> None:
        await self._call(
            f"{absence.subject} is back",
            lambda keeper: keeper.delete_absence(ADMIN, "default", absence.absence_id),
        )

    async def _call(self, name: str, call: Any) -> None:
        """Change an absence at a replica, which may crash meanwhile."""
        if not self.network.replicas:
            return
        replica = self._leaving.choice(self.network.replicas)
        try:
            async with asyncio.timeout(5.0):
                await call(replica.parts.absences)
        except (AskbackError, TimeoutError) as error:
            name = f"{name}: {type(error).__name__}"
        self.note(name)

    # --- decisions ---

    async def _decide(self) -> None:
        """People answer, delegate, return, claim and withdraw, of those who are asked or not."""
        rng = self._deciding
        while asyncio.get_running_loop().time() < FAULTY:
            await asyncio.sleep(rng.choice([0.05, 0.2, 0.4]))
            still = [p for p in self.database.rows.prompts.values() if p.is_open]
            if still:
                await self.command(self._draw(rng.choice(still)))

    def _draw(self, prompt: Prompt) -> c.Command[Any]:
        rng, ref, given = self._deciding, PromptRef(prompt.prompt_id), _active(prompt)
        what = rng.random()
        by_people = [each for each in given if each.cause is DelegationCause.PERSON]
        if by_people and what < 0.3:
            each = rng.choice(by_people)
            return ReturnPrompt(principal=self._who(each.giver), ref=ref, user=each.user, group=each.group)
        if what < 0.6:
            giver = self._who(rng.choice(sorted(prompt.content.reach.users) or NAMES))
            mode = rng.choice([DelegationMode.TRANSFER, DelegationMode.TRANSFER, DelegationMode.ADD])
            if rng.random() < 0.15:
                return DelegatePrompt(principal=giver, ref=ref, group="law", mode=mode)
            return DelegatePrompt(principal=giver, ref=ref, user=rng.choice(NAMES), mode=mode)
        if prompt.votes is not None and prompt.votes.live and what < 0.7:
            vote = rng.choice(prompt.votes.live)
            return WithdrawAnswer(principal=self._who(vote.user_id), ref=ref, answer_id=vote.answer.answer_id)
        able = [name for name in NAMES if prompt.is_for(self._who(name))]
        who = rng.choice(able if able and what < 0.95 else NAMES)
        if what < 0.75:
            return c.ClaimPrompt(principal=self._who(who), ref=ref, duration=timedelta(seconds=1))
        return (
            self._answer_of(prompt, who)
            if what > 0.85
            else c.ReleasePrompt(principal=self._who(who), ref=ref)
        )

    def _answer_of(self, prompt: Prompt, who: str) -> c.Command[Any]:
        self._number += 1
        return c.AnswerPrompt(
            principal=self._who(who),
            ref=PromptRef(prompt.prompt_id),
            answer_id=f"x{self._number}",
            revision=prompt.revision,
            decision=self._deciding.choice([Decision.ACCEPT, Decision.ACCEPT, Decision.REJECT]),
        )

    async def _decide_at_the_end(self) -> None:
        """Substitutes answer just before their right ends, so that the commit may come after it."""
        rng, clock = Random(f"{self.seed} late"), self.database.clock
        while asyncio.get_running_loop().time() < FAULTY:
            await asyncio.sleep(0.1)
            soon = clock.now() + timedelta(seconds=0.15)
            for prompt in list(self.database.rows.prompts.values()):
                for each in _active(prompt) if prompt.is_open else ():
                    if each.until is not None and each.until <= soon and rng.random() < 0.5:
                        self.do(self._answer_soon(prompt, each, rng.uniform(0.0, 0.1)))

    async def _answer_soon(self, prompt: Prompt, each: Delegation, pause: float) -> None:
        await asyncio.sleep(pause)
        following = [d.user for d in _active(prompt) if d.parent == each.number and d.user]
        await self.command(self._answer_of(prompt, [*following, each.user][0]))

    def _who(self, name: str) -> Principal:
        return self.people[name]

    # --- checks at the end ---

    async def end(self) -> None:
        await super().end()
        rows = self.database.rows
        for job in rows.jobs.values():
            check_stored(rows, job, self.verdicts)


def _active(prompt: Prompt) -> tuple[Delegation, ...]:
    return (prompt.content.delegations or Delegations()).active
