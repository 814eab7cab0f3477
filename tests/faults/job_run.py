"""What a worker does with one job: it asks what the job's input says, and completes with what it was told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from askback.errors import AskbackError
from askback.v1 import prompt_pb2
from askback.v1 import worker_service_pb2 as pb
from tests.faults.people import refusal
from tests.faults.plan import NOBODY, content_of

if TYPE_CHECKING:
    from tests.faults.worker import Hand

OPEN = prompt_pb2.PROMPT_STATE_PENDING


class Run:
    """One job under one token."""

    def __init__(self, hand: Hand, leased: pb.LeasedJob) -> None:
        self._hand = hand
        self.job_id: str = leased.job.job_id
        self.token: int = leased.token
        self._attempt: int = leased.job.attempt
        self._plan: dict[str, Any] = json.loads(leased.job.input_json)
        self._resolved: dict[str, prompt_pb2.Prompt] = {p.prompt_id: p for p in leased.prompts}
        self._waits: dict[str, asyncio.Future[prompt_pb2.Prompt]] = {}
        self.task = asyncio.create_task(self._live())

    def resolved(self, prompt: prompt_pb2.Prompt) -> None:
        """A resolution was pushed."""
        self._resolved[prompt.prompt_id] = prompt
        wait = self._waits.pop(prompt.prompt_id, None)
        if wait is not None and not wait.done():
            wait.set_result(prompt)

    async def _live(self) -> None:
        try:
            await self._work()
        except AskbackError as error:
            if error.reason != "ERROR_REASON_LEASE_LOST":
                self._hand.record.say("stopped", j=self.job_id, k=self.token, **refusal(error))
        finally:
            self._hand.ended(self)

    async def _call(self, what: str, message: Any, **facts: Any) -> Any:
        """One write of the holder, recorded. Raises AskbackError."""
        return await self._hand.call(what, self.job_id, self.token, message, **facts)

    async def _work(self) -> None:
        plan = self._plan
        if plan.get("fails_once") and self._attempt == 1:
            failure = pb.FailJobRequest(job_id=self.job_id, token=self.token, retryable=True)
            failure.failure.code = "ONCE"
            failure.retry_delay.FromMilliseconds(100)
            await self._call("fail", failure)
            return
        questions = list(plan["ask"])
        if plan.get("at_once"):
            first = asyncio.gather(*(self._ask(q) for q in questions))
            if plan.get("amends"):
                await asyncio.gather(self._ask(questions[0], amended=True))
            if plan.get("parks") and await self._parks(first):
                return
            told = await first
        else:
            told = [await self._ask(q) for q in questions]
        if plan.get("supersedes"):
            told.append(await self._supersede())
        await self._call(
            "ack",
            pb.AcknowledgePromptsRequest(
                job_id=self.job_id, token=self.token, prompt_ids=[p.prompt_id for p in told]
            ),
        )
        result = {p.key: p.resolution.answer.comment or p.resolution.state for p in told}
        text = json.dumps(result, sort_keys=True)
        await self._call(
            "complete", pb.CompleteJobRequest(job_id=self.job_id, token=self.token, result_json=text), r=text
        )

    async def _parks(self, first: asyncio.Future[Any]) -> bool:
        """Give the job up while people think, as soon as all is asked; whether that was done."""
        while len(self._waits) + len(self._resolved) < len(self._plan["ask"]):
            await asyncio.sleep(0.02)
            if first.done():
                return False
        if not self._waits:
            return False
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await self._call("release", pb.ReleaseJobRequest(job_id=self.job_id, token=self.token))
        return True

    async def _ask(
        self, question: dict[str, Any], *, amended: bool = False, supersedes: Sequence[str] = ()
    ) -> prompt_pb2.Prompt:
        request = pb.AskPromptRequest(
            job_id=self.job_id,
            token=self.token,
            key=question["key"],
            content=content_of(question, amended=amended),
            supersedes_keys=supersedes,
        )
        try:
            prompt = (await self._call("ask", request, key=question["key"])).prompt
        except AskbackError as error:
            if error.reason != "ERROR_REASON_ID_REUSED":
                raise
            # It was amended, or was not, before somebody answered it: ask as it is known.
            request.content.CopyFrom(content_of(question, amended=not amended))
            prompt = (await self._call("ask", request, key=question["key"])).prompt
        return await self._resolution(prompt)

    async def _supersede(self) -> prompt_pb2.Prompt:
        """A question that another one replaces before anybody could answer it."""
        # It does not block: nobody but this very call can end it, and a dead worker makes no call.
        old = {"key": "old", "to": [NOBODY], "aside": True}
        waits = asyncio.create_task(self._ask(old))
        while not waits.done() and not self._waits:  # noqa: ASYNC110, as simple as it gets
            await asyncio.sleep(0.01)
        told = await self._ask({"key": "new"}, supersedes=["old"])
        await waits
        return told

    async def _resolution(self, prompt: prompt_pb2.Prompt) -> prompt_pb2.Prompt:
        if prompt.state == OPEN:
            known = self._resolved.get(prompt.prompt_id)
            if known is None or known.state == OPEN:
                wait = self._waits.get(prompt.prompt_id)
                if wait is None:
                    wait = self._waits[prompt.prompt_id] = asyncio.get_running_loop().create_future()
                known = await asyncio.shield(wait)
            prompt = known
        self._hand.record.say(
            "got",
            j=self.job_id,
            k=self.token,
            p=prompt.prompt_id,
            st=prompt.state,
            v=prompt.version,
            a=prompt.resolution.answer.answer_id,
            c=prompt.resolution.answer.comment,
        )
        return prompt
