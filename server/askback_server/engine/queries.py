"""Reads with permission checks, from the cache if possible, else from the database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from askback_server.domain.commands import PromptRef
from askback_server.domain.errors import JobNotFound, PromptNotFound
from askback_server.domain.jobs import DeepUnderstanding, Job
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt, PromptState
from askback_server.engine.hot_jobs import HotJobs
from askback_server.ports.queries import PromptFilter
from askback_server.ports.storage import JobStore, Wanted


@dataclass(frozen=True, slots=True)
class VisibleJob:
    """A job as a principal may see it."""

    job: Job
    open_prompts: list[Prompt]
    """The open prompts visible to the principal, by round."""
    asked: int | None = None
    """None for a client or worker, which sees the whole job. For a console, which sees the job's head only:
    the number of visible prompts, including closed ones; at least 1."""


class Queries:
    """Reads for a principal. A job or prompt that the principal may not see is reported as not found."""

    def __init__(self, store: JobStore, hot: HotJobs) -> None:
        self._store = store
        self._hot = hot

    async def job(self, job_id: str, principal: Principal, *, strong: bool = False) -> Job:
        """A job. Raises JobNotFound."""
        return (await self.job_with_prompts(job_id, principal, strong=strong))[0]

    async def job_with_prompts(
        self, job_id: str, principal: Principal, *, strong: bool = False
    ) -> tuple[Job, list[Prompt]]:
        """A job and its open prompts visible to the principal, by round. Raises JobNotFound."""
        aggregate = None if strong else self._hot.get(job_id)
        if aggregate is None:
            [aggregate] = await self._store.load([Wanted(job_id=job_id)])
            if aggregate.job is not None:
                self._hot.put(aggregate)
        if aggregate.job is None or not principal.may_use(aggregate.job.namespace):
            raise JobNotFound(job_id)
        return aggregate.job, [p for p in aggregate.open if p.is_visible_to(principal)]

    async def within_namespace(self, filter: PromptFilter, principal: Principal) -> PromptFilter:
        """The filter with the namespace of the job that it names. Raises JobNotFound.

        A console gets an empty namespace for an unknown job: the list is empty then, as it is for a job
        without prompts for this console.
        """
        try:
            namespace = (await self.job(filter.job_id, principal)).namespace
        except JobNotFound:
            if filter.viewer is None:
                raise
            namespace = ""
        return replace(filter, namespace=namespace)

    async def visible_job(self, job_id: str, principal: Principal, *, strong: bool = False) -> VisibleJob:
        """A job as the principal may see it: the whole job for a client or worker, the head for a console
        that may see one of its prompts. Raises JobNotFound, also for other consoles."""
        job, prompts = await self.job_with_prompts(job_id, principal, strong=strong)
        if principal.has(Role.CLIENT, Role.WORKER):
            return VisibleJob(job, prompts)
        asked = await self.count_visible_prompts(job, principal)
        if not asked:
            raise JobNotFound(job_id)
        return VisibleJob(job, prompts, asked)

    async def count_visible_prompts(self, job: Job, principal: Principal) -> int:
        """The number of a job's prompts, in any state, that the principal may see as a console."""
        every = PromptFilter(job.namespace, principal, job_id=job.job_id, states=tuple(PromptState))
        return await self._store.count_prompts(every)

    async def prompts(self, prompt_ids: Iterable[str]) -> list[Prompt]:
        """Existing prompts by id, in any state, without permission checks."""
        return await self._store.get_prompts(prompt_ids)

    async def prompt(self, ref: PromptRef, principal: Principal) -> Prompt:
        """A prompt, in any state. Raises PromptNotFound."""
        prompt = self._hot.locate(ref) or await self._store.find_prompt(ref)
        if prompt is None or not prompt.is_visible_to(principal):
            raise PromptNotFound(**{k: v for k, v in _fields_of(ref).items() if v})
        return prompt

    async def understanding(self, job_id: str, principal: Principal) -> DeepUnderstanding:
        """The state contains questions and answers, so a console may read it only if it may see every prompt
        that the job has asked, also those that the sweep has deleted before it."""
        principal.require(Role.CLIENT, Role.WORKER, Role.CONSOLE)
        found = await self._store.get_understanding(job_id) or DeepUnderstanding(job_id)
        # The job is read after its state, and from the database: the state has no prompt that it lacks.
        is_console = not principal.has(Role.CLIENT, Role.WORKER)
        job = await self.job(job_id, principal, strong=is_console)
        if is_console:
            seen = await self.count_visible_prompts(job, principal)
            if not seen or seen < job.rounds:
                raise JobNotFound(job_id)
        return found


def _fields_of(ref: PromptRef) -> dict[str, str]:
    return {"prompt_id": ref.prompt_id, "job_id": ref.job_id, "key": ref.key}
