"""Schedules of approvals: several people vote and withdraw while replicas crash and workers reconnect."""

from __future__ import annotations

import asyncio
from typing import Any

from askback import Approval, Exclude
from askback._worker.job import Job
from askback_server.domain import commands as c
from askback_server.domain.commands import PromptRef
from askback_server.domain.decisions import Decision
from askback_server.domain.delegations import DelegationMode
from askback_server.domain.events import EventType
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt
from askback_server.domain.routing_commands import DelegatePrompt, ReturnPrompt
from askback_server.domain.vote_commands import WithdrawAnswer
from tests.simulate.workers import WorkSchedule

_VOTERS = (
    *(Principal(name, frozenset({Role.CONSOLE}), groups=frozenset({"law"})) for name in ("ann", "bob")),
    *(Principal(name, frozenset({Role.CONSOLE}), groups=frozenset({"ops"})) for name in ("cid", "dan")),
    *(Principal(name, frozenset({Role.CONSOLE})) for name in ("eve", "fay", "gus", "hal")),
)
"""Enough for the last prompt, also if all members of both groups have voted on the first one."""


class VotesSchedule(WorkSchedule):
    """Jobs that need two people, of two groups, who have not decided before. `check_aggregate` checks who has
    decided in the end."""

    async def _task(self, job: Job) -> dict[str, Any]:
        async def once() -> int:
            self._check_not_repeated(job)
            return 7

        seven = await job.step("seven", once)
        two, others = Approval(2, reject_at=2), Exclude(answerers_of=["a"])
        first, second, third = await asyncio.gather(
            job.confirm("A?", key="a", approval=Approval(per_group={"law": 1, "ops": 1})),
            job.confirm("B?", key="b", approval=two, to=["user:ann", "user:bob", "user:cid"]),
            job.confirm("C?", key="c", approval=two, exclude=others),
        )
        return {"a": bool(first), "b": bool(second), "c": bool(third), "seven": seven}

    def _draw(self, prompt: Prompt, number: int) -> c.Command[Any]:
        rng = self._answering
        if prompt.votes is not None and prompt.votes.live and rng.random() < 0.2:
            vote = rng.choice(prompt.votes.live)
            [voter] = [person for person in _VOTERS if person.subject == vote.user_id]
            return WithdrawAnswer(
                principal=voter, ref=PromptRef(prompt.prompt_id), answer_id=vote.answer.answer_id
            )
        if (command := self._delegation(prompt)) is not None:
            return command
        able = [person for person in _VOTERS if prompt.is_for(person)]
        return c.AnswerPrompt(
            principal=rng.choice(able if rng.random() < 0.8 else _VOTERS),
            ref=PromptRef(prompt.prompt_id),
            answer_id=f"x{number}",
            revision=prompt.revision,
            decision=rng.choice([Decision.ACCEPT, Decision.ACCEPT, Decision.REJECT]),
        )

    def _delegation(self, prompt: Prompt) -> c.Command[Any] | None:
        """Now and then a person delegates its right. It is returned soon, so that enough people are left."""
        rng, ref = self._answering, PromptRef(prompt.prompt_id)
        given, chance = prompt.content.delegations, rng.random()
        if given is not None and given.active and chance < 0.4:
            each = rng.choice(given.active)
            [giver] = [person for person in _VOTERS if person.subject == each.giver]
            return ReturnPrompt(principal=giver, ref=ref, user=each.user)
        if chance > 0.85:
            who, to = rng.sample(_VOTERS[:3] if prompt.content.audience.users else _VOTERS, 2)
            to = rng.choice([to, *_VOTERS[4:]])  # mostly one who is not asked
            mode = rng.choice([*DelegationMode])
            return DelegatePrompt(principal=who, ref=ref, user=to.subject, mode=mode)
        return None

    async def end(self) -> None:
        await super().end()
        for prompt in self.database.rows.prompts.values():
            self._check_rights(prompt)
        for prompt in self.database.rows.prompts.values():
            if prompt.key == "c" and prompt.resolution is not None:
                self._check_third(prompt)

    def _check_rights(self, prompt: Prompt) -> None:
        """Check that no one voted after giving its right away, and no two in the place of one person."""
        active: dict[int, dict[str, Any]] = {}
        for event in [e for _, e in self.database.rows.log if e.prompt_id == prompt.prompt_id]:
            data: Any = event.data or {}
            if event.type is EventType.PROMPT_DELEGATED:
                active[data["number"]] = data
            for number in (*data.get("numbers", ()), *data.get("delegations", ())):
                active.pop(number, None)
            if event.type is not EventType.PROMPT_VOTED:
                continue
            is_gone = False
            for each in active.values():
                is_gone |= each["giver"] == event.actor and each["mode"] == "TRANSFER"
                is_gone &= each["user"] != event.actor
            if is_gone:
                self.verdicts.report(f"{event.actor} voted after it gave its right away")
        live = prompt.votes.live if prompt.votes is not None else ()
        slots = [vote.answer.on_behalf_of or vote.user_id for vote in live]
        if len(set(slots)) < len(slots):
            self.verdicts.report(f"several votes in the place of one person: {slots}")

    def _check_third(self, prompt: Prompt) -> None:
        """Check that who decided the third prompt had not voted on the first one before its end."""
        log = [e for _, e in self.database.rows.log if e.job_id == prompt.job_id]
        ends = [e.seq for e in log if e.prompt_id == prompt.prompt_id and e.type is EventType.PROMPT_ANSWERED]
        others = {
            name
            for e in log
            for name in (e.actor, (e.data or {}).get("on_behalf_of", ""))
            if e.type is EventType.PROMPT_VOTED
            and (e.data or {})["key"] == "a"
            and e.seq < max(ends, default=0)
        }
        voters = set[str]()
        if prompt.votes is not None:
            voters = voters.union(*(vote.answer.people for vote in prompt.votes.live))
        if ends and voters & others:
            self.verdicts.report(f"decided by people who had voted before: {sorted(voters & others)}")
