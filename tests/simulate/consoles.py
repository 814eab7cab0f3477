"""Schedules of the Converse stream: prompts are created, amended and closed while consoles are connected."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from operator import itemgetter
from random import Random
from typing import Any

from askback._client.client import Client
from askback._console.console import Console
from askback.errors import NotFound, PermissionDenied, PromptClaimed, PromptClosed, PromptStale
from askback_server.domain import commands as c
from askback_server.domain.commands import PromptRef, SessionRef
from askback_server.domain.content import Audience, DefaultAnswer, FinalAction, PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.errors import StorageUnavailable
from askback_server.domain.prompts import AnswerStatus, Prompt
from tests.simulate.judges import ConverseJudge
from tests.simulate.network import Judge
from tests.simulate.replica import SimulatedReplica
from tests.simulate.schedule import Schedule
from tests.support.aggregates import ADMIN

SLACK = 2.0
"""Virtual seconds by which a replica may lag behind the database: polling and the event horizon."""
BOUND = 25.0
"""Virtual seconds within which an open prompt must be shown, whatever breaks."""


class SimulatedUser:
    """A user with the SDK's console; records the prompts shown and the answers accepted."""

    def __init__(self, schedule: ConverseSchedule, name: str) -> None:
        self.name = name
        self._schedule = schedule
        self._rng = Random(f"{schedule.seed} {name}")
        self.shown: set[str] = set()
        self.accepted: dict[str, str] = {}
        credit = self._rng.choice([0, 1, 2, 5])
        client = Client(schedule.network.endpoint(name))
        self.console: Console = client.console(credit=credit, connect_timeout=None)
        self._dialled = 0.0
        wire = self.console._protocol
        hello, apply = wire.hello, wire.view.apply

        def note_dial() -> Any:
            self._dialled = asyncio.get_running_loop().time()
            return hello()

        def apply_and_check(event: Any) -> None:
            apply(event)
            if event.WhichOneof("event") == "caught_up":
                self._check_caught_up()

        wire.hello = note_dial  # type: ignore[method-assign]
        wire.view.apply = apply_and_check  # type: ignore[method-assign]

    def eligible(self, prompt: Prompt) -> bool:
        return prompt.is_open and prompt.is_for(self._schedule.people[self.name])

    def _check_caught_up(self) -> None:
        """Check the view at `caught_up`: all open prompts that the replica must know, and no closed ones."""
        schedule, rows = self._schedule, self._schedule.database.rows
        has, known = set(self.console.open_ids), self._dialled - SLACK
        if schedule.people.changed_at(self.name) >= known:
            return  # the view may be that of before the change, and the one of after it follows
        for prompt_id in has:
            images = [(rows.since[key], image) for key, image in rows.images.items() if key[0] == prompt_id]
            ends = [since for since, image in images if not image.is_open]
            if ends and min(ends) < known:
                schedule.verdicts.report(f"{self.name} caught up, and has a prompt that had ended")
        for prompt in rows.prompts.values():
            if prompt.prompt_id in has or not self.eligible(prompt):
                continue
            images = [(rows.since[k], i) for k, i in rows.images.items() if k[0] == prompt.prompt_id]
            if all(since < known for since, _ in images):
                schedule.verdicts.report(f"{self.name} caught up without a prompt that is open")

    async def run(self) -> None:
        """Read prompts, and answer some of them."""
        async for prompt in self.console.prompts():
            self.shown.add(prompt.prompt_id)
            await asyncio.sleep(self._rng.uniform(0.0, 0.4))
            if self._rng.random() < 0.35:
                self._schedule.do(self._answer(prompt))

    async def _answer(self, prompt: Any) -> None:
        try:
            outcome = await (prompt.approve("yes") if self._rng.random() < 0.8 else prompt.decline("no"))
        except (PromptClosed, PromptStale, PromptClaimed, NotFound, PermissionDenied) as error:
            self._schedule.note(f"{self.name} answers: {type(error).__name__}")
            return
        self._schedule.note(f"{self.name} answers: {outcome.status}")
        if outcome.status == AnswerStatus.ACCEPTED:  # and not a vote before the last one
            self.accepted[prompt.prompt_id] = outcome.answer_id


class ConverseSchedule(Schedule):
    """Two users, a job whose prompts are asked and amended, jobs without a worker, and cancelled prompts."""

    writes = 14

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.users: list[SimulatedUser] = []
        self._running: list[asyncio.Task[None]] = []
        self._writing = Random(f"{seed} writing")
        self._session = SessionRef("", 0)
        self._job: Any = None
        self._keys: list[str] = []

    def judge(self, method: str, user: str, replica: SimulatedReplica) -> Judge | None:
        return ConverseJudge(self.verdicts, self.people, user, self.database.tail_mark)

    async def begin(self) -> None:
        self.users = [SimulatedUser(self, name) for name in ("ann", "bob")]
        for user in self.users:
            self._running.append(asyncio.create_task(self._run_user(user)))
        self.do(self._write())

    async def _run_user(self, user: SimulatedUser) -> None:
        await asyncio.sleep(self._writing.uniform(0.0, 2.0))
        await user.console.__aenter__()
        await user.run()

    # --- writes ---

    def _content(self) -> PromptContent:
        rng = self._writing
        final = rng.choice([FinalAction.EXPIRE, FinalAction.EXPIRE, FinalAction.DEFAULT])
        timeout = (
            rng.choice([None, 1.0, 4.0, 60.0]) if final is FinalAction.EXPIRE else rng.choice([1.0, 4.0])
        )
        default = DefaultAnswer(Decision.REJECT) if final is FinalAction.DEFAULT else None
        return PromptContent(
            kind="confirm",
            title=f"Is it {rng.randint(1, 1000)}?",
            blocking=False,
            audience=Audience(groups=frozenset({"law"})) if rng.random() < 0.4 else Audience(),
            priority=rng.randint(0, 2),
            timeout=timedelta(seconds=timeout) if timeout else None,
            final_action=final,
            default_answer=default,
        )

    async def _write(self) -> None:
        sessions = self.database.sessions
        while not self._session.session_id:
            try:
                row, _ = await sessions.open("default", "w", ADMIN.subject, "x", 10_000.0)
                self._session = SessionRef(row.session_id, row.epoch)
            except StorageUnavailable:
                await asyncio.sleep(0.5)
        create = c.CreateJob(principal=ADMIN, namespace="default", job_type="held", request_id="held")
        while self._job is None or not self._job.token:
            made = await self.command(create)
            if made is not None:
                job_id = made.job.job_id
                lease = c.LeaseJob(principal=ADMIN, job_id=job_id, session=self._session, worker_id="w")
                self._job = await self.command(lease) or self.database.rows.jobs[job_id]
            await asyncio.sleep(0.2)
        self.do(self._act())
        self.do(self._act())

    async def _act(self) -> None:
        """Do random writes; two of these tasks run at the same time."""
        rng = self._writing
        acts = [self._new, self._ask, self._amend, self._close]
        for _ in range(self.writes // 2):
            await asyncio.sleep(rng.choice([0.0, 0.01, 0.1, 0.5, 2.0]))
            await rng.choice([*acts, *acts, self._claim])()

    async def _new(self) -> None:
        await self.command(
            c.CreateJob(principal=ADMIN, namespace="default", job_type="only", prompt=self._content())
        )

    async def _ask(self, key: str = "") -> None:
        if not key:
            key = f"k{len(self._keys)}"
            self._keys.append(key)
        await self.command(
            c.AskPrompt(
                principal=ADMIN,
                job_id=self._job.job_id,
                token=self._job.token,
                key=key,
                content=self._content(),
            )
        )

    async def _amend(self) -> None:
        await self._ask(self._writing.choice(self._keys) if self._keys else "")

    def _some(self) -> PromptRef | None:
        still = [p.prompt_id for p in self.database.rows.prompts.values() if p.is_open]
        return PromptRef(prompt_id=self._writing.choice(still)) if still else None

    async def _close(self) -> None:
        ref = self._some()
        if ref is not None:
            await self.command(c.CancelPrompt(principal=ADMIN, ref=ref))

    async def _claim(self) -> None:
        ref = self._some()
        if ref is not None:
            await self.command(c.ClaimPrompt(principal=ADMIN, ref=ref, duration=timedelta(seconds=1)))

    # --- checks at the end ---

    def remaining_work(self) -> str:
        left = []
        for user in self.users:
            has = set(user.console.open_ids)
            should = {p.prompt_id for p in self.database.rows.prompts.values() if user.eligible(p)}
            if not user.console.connected or not user.console.caught_up.is_set():
                left.append(f"{user.name} is not caught up")
            elif has != should:
                left.append(
                    f"{user.name} lacks {len(should - has)} prompts and has {len(has - should)} too many"
                )
        return ", ".join(left)

    async def end(self) -> None:
        for task in self._running:
            if task.done():
                self.verdicts.report(f"a console ended: {task.exception()!r}")
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await asyncio.gather(*(user.console.__aexit__() for user in self.users))
        rows = self.database.rows
        for user in self.users:
            for prompt_id, answer_id in user.accepted.items():
                won = rows.prompts[prompt_id].resolution
                kept = rows.submissions.get((prompt_id, answer_id))
                if (
                    kept is None
                    or kept.status is not AnswerStatus.ACCEPTED
                    or won is None
                    or won.answer != kept.answer
                ):
                    self.verdicts.report(f"{user.name} got ACCEPTED, and another answer is stored")
            for prompt_id in {i for i, _ in rows.images} - user.shown:
                if self._was_open_for(user, prompt_id) > BOUND:
                    self.verdicts.report(f"{user.name} was never shown a prompt that was open for long")

    def _was_open_for(self, user: SimulatedUser, prompt_id: str) -> float:
        """The longest virtual time for which the prompt was open and visible to the user."""
        rows, now = self.database.rows, asyncio.get_running_loop().time()
        images = [(rows.since[k], i) for k, i in rows.images.items() if k[0] == prompt_id]
        history = self.people.history(user.name)
        longest, begun = 0.0, None
        for since in sorted({at for at, _ in (*images, *history)}):
            image = max((i for i in images if i[0] <= since), key=itemgetter(0), default=(0.0, None))[1]
            [*_, person] = [person for at, person in history if at <= since]
            if image is not None and image.is_open and image.is_for(person):
                begun = since if begun is None else begun
            elif begun is not None:
                longest, begun = max(longest, since - begun), None
        return max(longest, now - begun) if begun is not None else longest


class ReconnectSchedule(ConverseSchedule):
    """Replicas often ask the consoles to reconnect, and forget older events, while commits overtake each
    other: most resumes begin above a transaction that still runs, or from a token that is refused."""

    faults = ("go away", "go away", "forget")
    fault_pause = 0.2, 1.0
    writes = 40

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.database.slow_commits = 0.5


class AccessSchedule(ConverseSchedule):
    """The users leave and join a group while their streams are open, and while they move to the next ones."""

    faults = ("", "go away", "database down", "forget")
    writes = 24

    async def begin(self) -> None:
        await super().begin()
        self.do(self._change_access())

    async def _change_access(self) -> None:
        rng = Random(f"{self.seed} access")
        for _ in range(8):
            await asyncio.sleep(rng.uniform(0.1, 2.5))
            user = rng.choice(self.users).name
            self._ask_to_move(rng)
            await asyncio.sleep(rng.uniform(0.0, 0.05))
            self._switch_group(user)
            if rng.random() < 0.7:  # and back: a token from before fits the access again
                await asyncio.sleep(rng.uniform(0.0, 0.1))
                self._switch_group(user)
                self._ask_to_move(rng)

    def _ask_to_move(self, rng: Random) -> None:
        if rng.random() < 0.5:
            for replica in self.network.replicas:
                replica.go_away()

    def _switch_group(self, user: str) -> None:
        self.people.change(user, frozenset({"law"}) - self.people[user].groups)
        self.note(f"{user} is in {sorted(self.people[user].groups)}")
        for replica in self.network.replicas:
            replica.change_access(user)
