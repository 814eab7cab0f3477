"""Restate carries the question: a call of the person gives an answer, and its reply is the next question."""

from __future__ import annotations

import json
from typing import Any

import restate

from peers.peer import QUESTIONS, Question, answer_to, check_answer, question_of
from peers.restate import System as RestateWithAwakeables


class System(RestateWithAwakeables):
    """Restate. Job and person are handlers that resolve each other's awakeables, and share nothing else."""

    def services(self) -> list[Any]:
        """The service of jobs that ask, beside the one of jobs without questions."""
        return [*super().services(), _service()]

    async def begin(self, job_id: str) -> None:
        """Start a job. The reply is its first question."""
        self.show(job_id, json.loads(await self.post(f"{self.ingress}/Asking/begin", job_id)))

    async def answer(self, job_id: str, question: Question) -> None:
        """Give an answer. The reply is the next question."""
        body = {"awakeable": question["awakeable"], "answer": answer_to(question)}
        self.show(job_id, json.loads(await self.post(f"{self.ingress}/Asking/answer", body)))


def _service() -> restate.Service:
    asking = restate.Service("Asking")

    @asking.handler()
    async def run(ctx: restate.Context, given: dict[str, str]) -> int:
        job_id, person = given["job"], given["person"]
        for number in range(QUESTIONS):
            awakeable, answered = ctx.awakeable(type_hint=dict)
            ctx.resolve_awakeable(person, question_of(job_id, number) | {"awakeable": awakeable})
            reply = await answered
            check_answer(reply["answer"], job_id, number)
            person = reply["person"]
        ctx.resolve_awakeable(person, None)
        return QUESTIONS

    @asking.handler()
    async def begin(ctx: restate.Context, job_id: str) -> Question:
        person, shown = ctx.awakeable(type_hint=dict)
        ctx.service_send(run, {"job": job_id, "person": person})
        question: Question = await shown
        return question

    @asking.handler()
    async def answer(ctx: restate.Context, given: dict[str, Any]) -> Question | None:
        person, shown = ctx.awakeable(type_hint=dict)
        ctx.resolve_awakeable(given["awakeable"], {"answer": given["answer"], "person": person})
        question: Question | None = await shown
        return question

    return asking
