"""Everything that is stored of a job, read with the public SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from askback import AnswerInfo, AnswerStatus, Client, Event, JobInfo, PromptInfo, PromptState

_STATES = [state for state in PromptState if state is not PromptState.UNSPECIFIED]


@dataclass(frozen=True)
class Stored:
    """A job with its log, its prompts by id, and every submission to each of them."""

    job: JobInfo
    events: tuple[Event, ...]
    prompts: dict[str, PromptInfo]
    answers: dict[str, tuple[tuple[AnswerInfo, AnswerStatus], ...]]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stored) and self._whole == other._whole

    __hash__ = None  # type: ignore[assignment]

    @property
    def _whole(self) -> tuple[object, ...]:
        prompts = {prompt_id: prompt.proto for prompt_id, prompt in self.prompts.items()}
        return self.job.proto, self.events, prompts, self.answers


async def read(client: Client, job_id: str) -> Stored:
    """Read a job that does not change meanwhile; otherwise its parts may not fit together."""
    job = await client.get(job_id)
    events: list[Event] = []
    while len(events) < job.version:
        # A watch ends with its job; late answers come after that.
        async for event in client.run(job_id).watch(after_seq=len(events)):
            events.append(event)
            if event.seq >= job.version:
                break
    listed = [p async for p in client.prompts(job_id=job_id, states=_STATES)]
    prompts = {p.prompt_id: await client.prompt(p.prompt_id) for p in listed}
    answers = {p: tuple([a async for a in client.answers(p)]) for p in prompts}
    return Stored(job, tuple(events), prompts, answers)


async def read_all(client: Client, job_ids: Iterable[str]) -> list[Stored]:
    """Read several jobs that do not change meanwhile, a few at a time."""
    turn = asyncio.Semaphore(8)

    async def one(job_id: str) -> Stored:
        async with turn:
            return await read(client, job_id)

    return await asyncio.gather(*(one(job_id) for job_id in job_ids))
