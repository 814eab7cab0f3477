"""Two writers on one PostgreSQL database run thousands of concurrent commands on the same jobs."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from askback_server.domain import commands as c
from askback_server.domain.commands import PromptRef, SessionRef
from askback_server.domain.errors import Contention, IllegalState, PromptClaimed
from askback_server.domain.jobs import Job, JobState
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import AnswerResult, AnswerStatus, Prompt
from askback_server.ports.storage import JobWrite, Written
from tests.support.aggregates import ANN, BOB, CLIENT, WORKER
from tests.support.storage import DelegatingStore, Node, check_job, fetch, node

JOBS, ROUNDS = 24, 6
PEOPLE = [Principal(f"p{i}", frozenset({Role.CONSOLE})) for i in range(4)]


class CountingStore(DelegatingStore):
    lost = 0

    async def write(self, batch: Sequence[JobWrite]) -> Written:
        written: Written = await super().write(batch)
        self.lost += len(written.lost)
        return written


class Race:
    """Runs commands on both writers and collects the replies, to compare them with the stored rows."""

    def __init__(self, nodes: Sequence[Node], sessions: Sequence[SessionRef], seed: int) -> None:
        self.nodes = nodes
        self.sessions = sessions
        self.rng = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.results: list[tuple[Prompt, AnswerResult, str]] = []
        self.claims: dict[str, set[str]] = {}

    async def do(self, command: c.Command, place: int | None = None) -> Any:
        """Run a command like a client: retry it with the same ids after contention."""
        while True:
            here = self.nodes[self.rng.randrange(len(self.nodes)) if place is None else place]
            try:
                reply = await here.do(command)
            except Contention:
                self.done["contention"] += 1
            else:
                self.done[type(command).__name__] += 1
                return reply

    async def everywhere(self, command: c.Command) -> list[Any]:
        """Run the same command on all replicas at once."""
        tried = (self.do(command, place) for place in range(len(self.nodes)))
        replies = await asyncio.gather(*tried, return_exceptions=True)
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        return replies

    async def run_job(self, number: int) -> str:
        command = c.CreateJob(principal=CLIENT, namespace="", job_type="refund", request_id=f"r{number}")
        made = await self.everywhere(command)
        assert len({m.job.job_id for m in made}) == 1
        assert sorted(m.replayed for m in made) == [False, True]
        job: Job = made[0].job
        for turn in range(1, ROUNDS + 1):
            job = await self.lease(job.job_id, turn)
            await asyncio.gather(
                self.question(job, f"a{turn}"), self.claim_and_answer(job, f"b{turn}"), self.work(job, turn)
            )
            job = await self.do(c.ReleaseJob(principal=WORKER, job_id=job.job_id, token=job.token))
            assert job.state is JobState.PENDING
        job = await self.lease(job.job_id, ROUNDS + 1)
        ended = await self.everywhere(
            c.CompleteJob(principal=WORKER, job_id=job.job_id, token=job.token, result_json=str(number))
        )
        assert {(j.state, j.version) for j in ended} == {(JobState.COMPLETED, ended[0].version)}
        return job.job_id

    async def lease(self, job_id: str, token: int) -> Job:
        """Try to lease the job with all sessions; exactly one succeeds."""
        leased = await asyncio.gather(*(self.try_lease(job_id, s, i) for i, s in enumerate(self.sessions)))
        [job] = [j for j in leased if j is not None]
        assert job.token == token
        return job

    async def try_lease(self, job_id: str, session: SessionRef, place: int) -> Job | None:
        command = c.LeaseJob(principal=WORKER, job_id=job_id, session=session, worker_id=f"w{place}")
        while True:
            try:
                job: Job = await self.do(command, place)
                return job
            except IllegalState as error:
                if error.metadata["state"] != JobState.PENDING:
                    return None
                # The job is not ready yet by this replica's estimate of the clock.
                await asyncio.sleep(0)

    async def ask(self, job: Job, key: str) -> Prompt:
        answers = await self.everywhere(self.nodes[0].ask_command(job, key))
        assert len({a.prompt.prompt_id for a in answers}) == 1
        assert sorted(a.replayed for a in answers) == [False, True]
        prompt: Prompt = answers[0].prompt
        return prompt

    async def question(self, job: Job, key: str) -> None:
        """Ask a prompt and let all users answer: one is accepted, the others are closed."""
        prompt = await self.ask(job, key)
        results = await asyncio.gather(*(self.answer(prompt, person) for person in PEOPLE))
        assert sorted(r.status for r in results) == [AnswerStatus.ACCEPTED] + [AnswerStatus.CLOSED] * 3

    async def answer(self, prompt: Prompt, person: Principal) -> AnswerResult:
        answer_id = f"{prompt.key}/{person.subject}"
        command = self.nodes[0].answer_command(prompt, answer_id, principal=person)
        replies: list[AnswerResult] = await self.everywhere(command)
        first, second = replies
        assert (first.status, first.prompt.resolution) == (second.status, second.prompt.resolution)
        assert sorted([first.replayed, second.replayed]) == [False, True]
        self.results.append((prompt, first, answer_id))
        return first

    async def claim_and_answer(self, job: Job, key: str) -> None:
        """Let two users claim a prompt: one succeeds, and only that one can answer."""
        prompt = await self.ask(job, key)
        ref = PromptRef(job_id=job.job_id, key=key)
        tried = await asyncio.gather(*(self.claim(ref, person) for person in (ANN, BOB)))
        assert sorted(tried) == [False, True]
        owner, other = (ANN, BOB) if tried[0] else (BOB, ANN)
        with suppress(PromptClaimed):
            raise AssertionError(await self.answer(prompt, other))
        assert (await self.answer(prompt, owner)).status is AnswerStatus.ACCEPTED
        assert (await self.answer(prompt, PEOPLE[0])).status is AnswerStatus.CLOSED

    async def claim(self, ref: PromptRef, person: Principal) -> bool:
        """Try to claim a prompt. Returns whether the person owns the claim."""
        try:
            prompt: Prompt = await self.do(c.ClaimPrompt(principal=person, ref=ref))
            owner = prompt.claimed_by
        except PromptClaimed as error:
            owner = error.metadata["claimed_by"]
        return owner == person.subject

    async def work(self, job: Job, turn: int) -> None:
        for i in range(4):
            await self.do(self.nodes[0].progress_command(job, turn * 10 + i))
            await self.do(
                c.SaveCheckpoint(
                    principal=WORKER, job_id=job.job_id, token=job.token, key=f"{turn}/{i}", value_json=str(i)
                )
            )


async def test_two_writers_on_the_same_jobs_give_consistent_replies_and_rows(pg_url: str) -> None:
    async with node(pg_url, wrap=CountingStore) as one, node(pg_url, wrap=CountingStore) as two:
        nodes = (one, two)
        race = Race(nodes, [await n.session() for n in nodes], seed=11)
        feeds = [asyncio.create_task(n.feed.run()) for n in nodes]
        try:
            job_ids = await asyncio.gather(*(race.run_job(i) for i in range(JOBS)))
        finally:
            for feed in feeds:
                feed.cancel()
            await asyncio.gather(*feeds, return_exceptions=True)
        for each in nodes:
            await each.catch_up()

        assert sum(race.done.values()) > 3_000
        assert one.store.lost + two.store.lost > 100, "there was contention"
        assert len(set(job_ids)) == JOBS
        stored = {job_id: (await check_job(one.database, job_id))[0] for job_id in job_ids}

        for prompt, result, answer_id in race.results:
            aggregate = stored[prompt.job_id]
            resolution = aggregate.prompts[prompt.prompt_id].resolution
            assert resolution is not None
            assert result.prompt.resolution == resolution, "all replies have the same winner"
            assert resolution.answer is not None
            won = resolution.answer.answer_id == answer_id
            assert won == (result.status is AnswerStatus.ACCEPTED)
            assert aggregate.submissions[prompt.prompt_id, answer_id].status is result.status
        for job_id, aggregate in stored.items():
            assert len(aggregate.prompts) == 2 * ROUNDS
            assert len(aggregate.submissions) == 6 * ROUNDS, "no row is lost or repeated"
            points = await one.database.jobs.list_checkpoints(job_id, 1_000, "")
            assert [(p.key, p.value_json) for p in points] == [
                (f"{turn}/{i}", str(i)) for turn in range(1, ROUNDS + 1) for i in range(4)
            ]
            for each in nodes:
                for prompt_id, prompt in aggregate.prompts.items():
                    assert each.newest_prompt(prompt_id).state is prompt.state
        deadlocks = sa.text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        assert (await fetch(one.database, deadlocks))[0]["deadlocks"] == 0
