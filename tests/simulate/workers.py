"""Schedules of the Work stream: jobs ask prompts and get answers while workers reconnect and park."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from random import Random
from typing import Any

from askback._worker.job import Job
from askback._worker.worker import Worker
from askback_server.domain import commands as c
from askback_server.domain.commands import PromptRef
from askback_server.domain.decisions import Decision
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import AnswerResult, Prompt
from tests.simulate.judges import Verdicts, check_stored
from tests.simulate.network import Judge
from tests.simulate.replica import SimulatedReplica
from tests.simulate.schedule import Schedule
from tests.simulate.virtual_time import START
from tests.support.aggregates import ADMIN

TELL_WITHIN = 5.0
"""Virtual seconds within which a connected worker is told of a cancellation, whatever breaks."""
ATTEMPTS = 40
"""More attempts than network faults can use up: a failed job means a lost one."""


class WorkJudge:
    """Checks the stream of one worker."""

    def __init__(self, verdicts: Verdicts, holders: dict[tuple[str, int], str]) -> None:
        self._verdicts = verdicts
        self._holders = holders
        self._session = ""
        self._opened = asyncio.get_running_loop().time()
        self._told: set[str] = set()
        """Jobs whose cancellation was sent."""
        self._calls: set[int] = set()
        self._versions: dict[tuple[str, bool], int] = {}
        """The newest version sent, by prompt id and whether it was sent as a late answer."""

    def on_receive(self, message: Any) -> None:
        self._calls |= {frame.ref for frame in message.frames if frame.ref}

    def on_send(self, message: Any) -> None:
        wrong, rows = self._verdicts.report, self._verdicts.rows
        for frame in message.frames:
            body = frame.WhichOneof("body")
            if frame.ref:
                if frame.ref not in self._calls:
                    wrong("a call is answered twice, or was never made")
                self._calls.discard(frame.ref)
            if body == "welcome":
                self._session = frame.welcome.session_id
            elif body == "job_leased":
                leased = frame.job_leased.leased_job
                key = leased.job.job_id, leased.token
                if self._holders.setdefault(key, self._session) != self._session:
                    wrong("one token for two sessions")
                if rows.jobs[leased.job.job_id].token < leased.token:
                    wrong("a lease is sent that was not committed")
                for prompt in leased.prompts:
                    if prompt.HasField("resolution"):
                        self._versions[prompt.prompt_id, False] = prompt.version
            elif body == "cancel_requested":
                self._told.add(frame.cancel_requested.job_id)
            elif body == "heartbeat":
                self._check_cancellations()
            elif body == "prompt_resolved":
                prompt, late = frame.prompt_resolved.prompt, frame.prompt_resolved.late_answer
                image = rows.images.get((prompt.prompt_id, prompt.version))
                if image is None or image.is_open:
                    wrong("a resolution is sent that was not committed")
                elif late and image.consumed_at is None and (prompt.prompt_id, False) not in self._versions:
                    wrong("a late answer is sent before the resolution")
                if prompt.version <= self._versions.get((prompt.prompt_id, late), 0):
                    wrong("a resolution is sent twice on a stream")
                self._versions[prompt.prompt_id, late] = prompt.version

    def _check_cancellations(self) -> None:
        """Check that the worker knows which of its jobs are cancelled, a while after they were."""
        known = asyncio.get_running_loop().time() - TELL_WITHIN
        for job in self._verdicts.rows.jobs.values():
            cancelled = job.cancel_requested_at
            if job.session_id != self._session or job.job_id in self._told or cancelled is None:
                continue
            if max(self._opened, (cancelled - START).total_seconds()) < known:
                self._verdicts.report("a cancellation is not sent to the worker that has the job")


class WorkSchedule(Schedule):
    """Two workers, a few jobs that ask three prompts each, and users who sometimes repeat an answer."""

    serves_workers = True
    jobs = 3
    cancels = 0.15
    """How often a job is cancelled soon after its creation."""
    settle_seconds = 600.0  # after many lost attempts the backoff reaches five minutes

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._writing = Random(f"{seed} writing")
        self._answering = Random(f"{seed} answering")
        self._holders: dict[tuple[str, int], str] = {}
        self._results: dict[str, Any] = {}
        self.workers: list[Worker] = []
        self._starting: list[asyncio.Task[None]] = []
        self._cancelled: set[str] = set()
        self._made = 0

    def judge(self, method: str, user: str, replica: SimulatedReplica) -> Judge | None:
        return WorkJudge(self.verdicts, self._holders)

    async def begin(self) -> None:
        for name in ("w1", "w2"):
            worker = Worker(
                self.network.endpoint("wanda"),
                worker_id=name,
                namespace="default",
                capacity=self._writing.randint(1, 3),
                park_after=self._writing.choice([2.0, None]),
            )
            worker.job("task")(self._task)
            self.workers.append(worker)
            self._starting.append(asyncio.create_task(worker.start()))
        self.do(self._write())
        self._users = asyncio.create_task(self._answer())

    async def _task(self, job: Job) -> dict[str, Any]:
        async def once() -> int:
            self._check_not_repeated(job)
            await asyncio.sleep(0.05)
            return 7

        seven = await job.step("seven", once)
        first, second = await asyncio.gather(job.confirm("A?", key="a"), job.confirm("B?", key="b"))
        await job.progress(1, 2)
        third = await job.confirm("C?", key="c")
        return {"a": bool(first), "b": bool(second), "c": bool(third), "seven": seven}

    def _check_not_repeated(self, job: Job) -> None:
        """Check that a step saved in an earlier lease is not repeated."""
        log = [e for _, e in self.database.rows.log if e.job_id == job.job_id]
        leases = [
            e.seq for e in log if e.type is EventType.JOB_LEASED and (e.data or {})["token"] == job.token
        ]
        if any(e.seq < leases[0] for e in log if e.type is EventType.CHECKPOINT_SAVED):
            self.verdicts.report("a step is repeated that was saved before the lease")

    async def _write(self) -> None:
        rng = self._writing
        for number in range(self.jobs):
            create = c.CreateJob(
                principal=ADMIN,
                namespace="default",
                job_type="task",
                request_id=f"r{number}",
                max_attempts=ATTEMPTS,
            )
            made = await self.command(create)
            while made is None:
                await asyncio.sleep(0.3)
                made = await self.command(create)
            self._made += 1
            await asyncio.sleep(rng.choice([0.0, 0.1, 3.0]))
            if rng.random() < self.cancels:
                self._cancelled.add(made.job.job_id)
                await self.command(c.CancelJob(principal=ADMIN, job_id=made.job.job_id))

    async def _answer(self) -> None:
        """Answer open prompts on any replica, and sometimes repeat an answer with the same id."""
        rng, rows, number = self._answering, self.database.rows, 0
        before: list[c.Command[Any]] = []
        while True:
            await asyncio.sleep(rng.choice([0.05, 0.2, 1.0, 4.0]))
            still = [p for p in rows.prompts.values() if p.is_open]
            if before and rng.random() < 0.3:
                command = rng.choice(before)
            elif still:
                prompt = rng.choice(still)
                number += 1
                command = self._draw(prompt, number)
                before.append(command)
            else:
                continue
            await self._submit(command)

    def _draw(self, prompt: Prompt, number: int) -> c.Command[Any]:
        """What a user does next on an open prompt."""
        return c.AnswerPrompt(
            principal=ADMIN,
            ref=PromptRef(prompt_id=prompt.prompt_id),
            answer_id=f"x{number}",
            revision=prompt.revision,
            decision=self._answering.choice([Decision.ACCEPT, Decision.REJECT]),
        )

    async def _submit(self, command: c.Command[Any]) -> None:
        reply = await self.command(command)
        if not isinstance(command, c.AnswerPrompt) or not isinstance(reply, AnswerResult):
            return
        if self._results.setdefault(command.answer_id, reply.status) != reply.status:
            self.verdicts.report("one answer_id, two results")

    def remaining_work(self) -> str:
        jobs = self.database.rows.jobs.values()
        left = [f"{j.job_id[-4:]} is {j.state}" for j in jobs if not j.is_terminal]
        left += [f"{w.worker_id} is not connected" for w in self.workers if not w.connected]
        left += [f"{w.worker_id} still runs {w.holding}" for w in self.workers if w.holding]
        return ", ".join(left)

    async def end(self) -> None:
        self._users.cancel()
        await asyncio.gather(self._users, *self._starting, return_exceptions=True)
        for worker in self.workers:
            await worker.aclose(drain_timeout=0.0)
        rows = self.database.rows
        for job in rows.jobs.values():
            check_stored(rows, job, self.verdicts)
            if job.workerless:
                continue  # its result is how its prompt ended
            if job.state is JobState.COMPLETED:
                decisions = {
                    p.key: p.resolution.answer.decision is Decision.ACCEPT
                    for p in rows.prompts.values()
                    if p.job_id == job.job_id and p.resolution is not None and p.resolution.answer is not None
                }
                if json.loads(job.result_json) != {**decisions, "seven": 7}:
                    self.verdicts.report(
                        f"the result {job.result_json} does not say what people decisions: {decisions}"
                    )
            elif job.job_id not in self._cancelled:
                self.verdicts.report(f"a job ended as {job.state}: {job.failure}")


class ContestSchedule(WorkSchedule):
    """Two people answer each prompt at once, so that one is late; many jobs are cancelled, and replicas often
    ask the workers to reconnect, while commits take long."""

    faults = ("go away", "go away", "crash")
    fault_pause = 0.2, 1.0
    jobs = 8
    cancels = 0.5

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.database.slow_commits = 0.5

    async def _submit(self, command: c.Command[Any]) -> None:
        assert isinstance(command, c.AnswerPrompt)
        rival = replace(command, answer_id=f"{command.answer_id} of a rival")
        await asyncio.gather(super()._submit(command), super()._submit(rival))
