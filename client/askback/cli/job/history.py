"""A finished job with its prompts, events and answers, for the exports."""

from __future__ import annotations

from dataclasses import dataclass

from askback._client.client import Client
from askback._model.enums import AnswerStatus, PromptState
from askback._model.jobs import Event, JobInfo
from askback._model.prompts import PromptInfo
from askback._model.resolutions import AnswerInfo
from askback.errors import FailedPrecondition


@dataclass(frozen=True)
class History:
    """A finished job, its prompts in the order of rounds, its events, its answers by prompt and answer id."""

    job: JobInfo
    prompts: dict[str, PromptInfo]
    events: list[Event]
    answers: dict[tuple[str, str], tuple[AnswerInfo, AnswerStatus]]

    @classmethod
    async def read(cls, client: Client, job_id: str) -> History:
        """Read the history of a job. Raises NotFound, FailedPrecondition if the job has not ended."""
        job = await client.get(job_id)
        if not job.state.is_terminal:
            raise FailedPrecondition(f"job {job_id} has not ended; there is no whole story to export yet")
        states = [state for state in PromptState if state is not PromptState.UNSPECIFIED]
        found = [prompt async for prompt in client.prompts(job_id=job_id, states=states)]
        found.sort(key=lambda prompt: prompt.proto.round)
        answers = {}
        for prompt in found:
            async for answer, status in client.answers(prompt.prompt_id):
                answers[prompt.prompt_id, answer.answer_id] = answer, status
        events = [event async for event in client.run(job_id).watch()]
        return cls(job, {prompt.prompt_id: prompt for prompt in found}, events, answers)
