"""A worker's run of one job: asks the questions in the job's input and completes with the answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from askback.errors import AskbackError
from askback.v1 import prompt_pb2
from askback.v1 import worker_service_pb2 as pb
from tests.faults.plan import NO_USER, content_of
from tests.faults.program import refusal

if TYPE_CHECKING:
    from tests.faults.worker import RawWorker

OPEN = prompt_pb2.PROMPT_STATE_PENDING


class Run:
    """The run of one job under one fencing token."""

    def __init__(self, worker: RawWorker, leased: pb.LeasedJob) -> None:
        self._worker = worker
        self.job_id: str = leased.job.job_id
        self.token: int = leased.token
        self._attempt: int = leased.job.attempt
        self._plan: dict[str, Any] = json.loads(leased.job.input_json)
        self._resolved: dict[str, prompt_pb2.Prompt] = {p.prompt_id: p for p in leased.prompts}
        self._waits: dict[str, asyncio.Future[prompt_pb2.Prompt]] = {}
        self.task = asyncio.create_task(self._run())

    def take_resolution(self, prompt: prompt_pb2.Prompt) -> None:
        """Take a resolution that the server has pushed."""
        self._resolved[prompt.prompt_id] = prompt
        wait = self._waits.pop(prompt.prompt_id, None)
        if wait is not None and not wait.done():
            wait.set_result(prompt)

    async def _run(self) -> None:
        try:
            await self._work()
        except AskbackError as error:
            if error.reason != "ERROR_REASON_LEASE_LOST":
                self._worker.record.write("stopped", j=self.job_id, k=self.token, **refusal(error))
        finally:
            self._worker.discard(self)

    async def _call(self, what: str, message: Any, **facts: Any) -> Any:
        """Make and record one write as the holder. Raises AskbackError."""
        return await self._worker.call(what, self.job_id, self.token, message, **facts)

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
            if plan.get("parks") and await self._park(first):
                return
            prompts = await first
        else:
            prompts = [await self._ask(q) for q in questions]
        if plan.get("supersedes"):
            prompts.append(await self._supersede())
        await self._call(
            "ack",
            pb.AcknowledgePromptsRequest(
                job_id=self.job_id, token=self.token, prompt_ids=[p.prompt_id for p in prompts]
            ),
        )
        result = {p.key: p.resolution.answer.comment or p.resolution.state for p in prompts}
        text = json.dumps(result, sort_keys=True)
        await self._call(
            "complete", pb.CompleteJobRequest(job_id=self.job_id, token=self.token, result_json=text), r=text
        )

    async def _park(self, first: asyncio.Future[Any]) -> bool:
        """Release the job once all prompts are asked, while users think. Returns whether it was released."""
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
            # The prompt was answered in its other version: ask with that content.
            request.content.CopyFrom(content_of(question, amended=not amended))
            prompt = (await self._call("ask", request, key=question["key"])).prompt
        return await self._resolution(prompt)

    async def _supersede(self) -> prompt_pb2.Prompt:
        """Ask a prompt, and supersede it by another one before it can be answered."""
        # Not blocking: only the superseding call can end it, and a worker that has died will not make it.
        old = {"key": "old", "to": [NO_USER], "aside": True}
        waits = asyncio.create_task(self._ask(old))
        while not waits.done() and not self._waits:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        prompt = await self._ask({"key": "new"}, supersedes=["old"])
        await waits
        return prompt

    async def _resolution(self, prompt: prompt_pb2.Prompt) -> prompt_pb2.Prompt:
        if prompt.state == OPEN:
            known = self._resolved.get(prompt.prompt_id)
            if known is None or known.state == OPEN:
                wait = self._waits.get(prompt.prompt_id)
                if wait is None:
                    wait = self._waits[prompt.prompt_id] = asyncio.get_running_loop().create_future()
                known = await asyncio.shield(wait)
            prompt = known
        self._worker.record.write(
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
