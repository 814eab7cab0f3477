"""The lease of a job: its stored answers, its open questions, and the reason to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Any

from askback._model.content import same_question
from askback._model.jobs import JobInfo
from askback._model.prompts import PromptInfo
from askback._worker.keys import Keys
from askback._worker.progress_reports import ProgressReports, Sender
from askback._worker.steps import Steps
from askback._worker.wording import question_changed
from askback.errors import (
    AlreadyExists,
    AskbackError,
    LeaseLost,
)
from askback.v1 import prompt_pb2
from askback.v1 import worker_service_pb2 as pb

MAX_PARK_MULTIPLES = 64
"""Maximum time, in multiples of `park_after`, that a job which waits for several answers stays in memory."""


class Stop(Enum):
    """Why a job function must stop before its end."""

    LOST = "the lease is lost"
    CANCEL = "the job is cancelled"
    PARK = "the job waits for people"
    DRAIN = "the worker stops"


_ENDS = frozenset({"complete_job", "fail_job", "release_job"})
"""Requests that end the lease when they succeed."""


def lease_mark(job_id: str, token: int) -> int:
    """The contribution of a lease to a digest: the first eight bytes of the SHA-256 of `JOB_ID:TOKEN`."""
    return int.from_bytes(sha256(f"{job_id}:{token}".encode()).digest()[:8], "big", signed=True)


@dataclass(slots=True, eq=False)
class _Wait:
    """A question whose answer the function awaits."""

    request: pb.AskPromptRequest
    future: asyncio.Future[prompt_pb2.Prompt]
    asked: bool = False


class Lease:
    """One lease: a job, its fencing token, and the questions and steps of its function.

    `park_after` is the number of seconds of only waiting after which the job is parked; None: never.
    """

    def __init__(self, leased: pb.LeasedJob, sender: Sender, park_after: float | None) -> None:
        self.job = JobInfo(leased.job)
        self.job_id = leased.job.job_id
        self.token = leased.token
        self.mark = lease_mark(self.job_id, self.token)
        self.ending = False
        """Whether a request that ends the lease has been sent and not refused."""
        self.cancel_reason: str | None = None
        self.late: list[PromptInfo] = []
        self.stopped: Stop | None = None
        self.work: asyncio.Task[Any] | None = None
        self._sender = sender
        self._park_after = park_after
        self._park: asyncio.TimerHandle | None = None
        self._known = {prompt.key: prompt for prompt in leased.prompts}
        self._steps = Steps(leased, self.send, self.touch)
        self._waits: dict[str, _Wait] = {}
        self._ask_keys = Keys("ask")
        self._asking = 0
        self._answered = 0
        """The number of answered questions among those asked concurrently."""
        self._released = pb.ReleaseJobRequest(job_id=self.job_id, token=self.token)
        self._last_activity = 0.0
        self.reports = ProgressReports(sender, lambda: self.stop(Stop.LOST))

    async def send(self, name: str, request: Any) -> Any:
        """Send a request under this lease and return its response. Raises AskbackError."""
        self.touch()
        try:
            self.ending = name in _ENDS
            reply = await self._sender.submit(pb.WorkClientFrame(**{name: request}))
        except AskbackError as error:
            self.ending = False
            if isinstance(error, LeaseLost):
                self.stop(Stop.LOST)
            raise
        finally:
            self.touch()
        return getattr(reply, name)

    async def ask(
        self, key: str, content: prompt_pb2.PromptContent, supersedes: list[str], *, same: bool = False
    ) -> PromptInfo:
        """Ask, and return the closed prompt: at once if its answer is stored, else when it arrives.

        Always lets other tasks run first, even for a stored answer. Raises DuplicateKey for a key that this
        run has used, QuestionChanged if the key belongs to a closed prompt with other content (unless
        `same`), and the errors of AskPrompt.
        """
        self._asking += 1
        try:
            await asyncio.sleep(0)
            self._ask_keys.use(key)
            known = await self._resolution(key, content, supersedes, same)
            self._answered += 1
        finally:
            self._asking -= 1
            if not self._asking:
                self._answered = 0
        self.touch()
        self._acknowledge(known)
        return PromptInfo(known)

    def find_closed_content(self, key: str) -> prompt_pb2.PromptContent | None:
        """A copy of the content of the closed prompt of this key; None if there is no such prompt."""
        known = self._known.get(key)
        if known is None or _is_open(known):
            return None
        content = prompt_pb2.PromptContent()
        content.CopyFrom(known.content)
        return content

    async def _resolution(
        self, key: str, content: prompt_pb2.PromptContent, supersedes: list[str], same: bool
    ) -> prompt_pb2.Prompt:
        try:
            known = self._known.get(key)
            if known is not None and not _is_open(known) and same_question(content, known.content):
                return known
            request = pb.AskPromptRequest(
                job_id=self.job_id,
                token=self.token,
                key=key,
                content=content,
                supersedes_keys=supersedes,
                same=same,
                wakes=True,
            )
            return await self._answer_to(request)
        except AlreadyExists as error:
            self._ask_keys.free(key)
            raise question_changed(key, content, self._known.get(key), error) from error
        except BaseException:
            self._ask_keys.free(key)
            raise

    def _acknowledge(self, prompt: prompt_pb2.Prompt) -> None:
        """Acknowledge a resolution that no earlier run has acknowledged."""
        if prompt.HasField("consume_time"):
            return
        request = pb.AcknowledgePromptsRequest(
            job_id=self.job_id, token=self.token, prompt_ids=[prompt.prompt_id]
        )
        _ignore_errors(self._sender.submit(pb.WorkClientFrame(acknowledge_prompts=request)))

    async def _answer_to(self, request: pb.AskPromptRequest) -> prompt_pb2.Prompt:
        key = request.key
        wait = _Wait(request, asyncio.get_running_loop().create_future())
        self._waits[key] = wait
        try:
            reply: pb.AskPromptResponse = await self.send("ask_prompt", request)
            wait.asked = True
            self.learn(reply.prompt)
            self._watch_for_parking()
            return await asyncio.shield(wait.future)
        finally:
            if self._waits.get(key) is wait:
                del self._waits[key]

    def learn(self, prompt: prompt_pb2.Prompt) -> None:
        """Store a prompt that the server sent; a closed one resumes the coroutine that awaits it."""
        if _is_open(prompt):
            return
        self._known[prompt.key] = prompt
        wait = self._waits.get(prompt.key)
        if wait is not None and not wait.future.done():
            wait.future.set_result(prompt)

    def catch_up(self) -> None:
        """After a reconnect, ask again for prompts that may have been answered meanwhile."""
        for wait in self._waits.values():
            if wait.asked and not wait.future.done():
                future = self._sender.submit(pb.WorkClientFrame(ask_prompt=wait.request))
                future.add_done_callback(self._on_caught_up)

    def _on_caught_up(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            self.learn(future.result().ask_prompt.prompt)
        elif isinstance(error, LeaseLost):
            self.stop(Stop.LOST)

    async def once(self, key: str, compute: Callable[[], Awaitable[str]]) -> str:
        """The checkpoint of this key as JSON text; `compute` is called if there is none (see Steps.once)."""
        return await self._steps.once(key, compute)

    def progress(self, request: pb.ReportProgressRequest) -> None:
        """Report without waiting; while a report is in flight only the newest of the next ones is kept."""
        self.touch()
        self.reports.send(request)

    @property
    def waits(self) -> bool:
        """Whether the function, as far as can be determined, only waits for people."""
        return bool(self._open_keys()) and not self._steps.running

    def _open_keys(self) -> list[str]:
        """The keys of the open blocking questions that the function awaits."""
        return [
            key
            for key, wait in self._waits.items()
            if wait.asked and wait.request.content.blocking and not wait.future.done()
        ]

    def touch(self) -> None:
        """Note an activity of the function."""
        self._last_activity = asyncio.get_running_loop().time()

    @property
    def _park_delay(self) -> float | None:
        """Seconds of only waiting until the job is parked; None: never.

        Each answer to a parked job runs it again from the top. So the time doubles with every answer to
        concurrent questions: n questions cost a few runs instead of n, and the coroutine is still dropped
        if people take long.
        """
        if self._park_after is None or len(self._open_keys()) < 2:
            return self._park_after
        return float(self._park_after * min(2**self._answered, MAX_PARK_MULTIPLES))

    def _watch_for_parking(self) -> None:
        park_delay = self._park_delay
        if park_delay is not None and self._park is None and self.stopped is None:
            loop = asyncio.get_running_loop()
            left = max(0.0, self._last_activity + park_delay - loop.time())
            self._park = loop.call_later(left + 0.001, self._park_if_waiting)

    def _park_if_waiting(self) -> None:
        self._park = None
        park_delay = self._park_delay
        if park_delay is None or not self._waits:
            return
        idle = asyncio.get_running_loop().time() - self._last_activity
        if self.waits and idle >= park_delay:
            self.stop(Stop.PARK)
        else:
            self._watch_for_parking()

    def stop(self, why: Stop) -> None:
        """Cancel the function. A lost lease overrides any other reason."""
        first = self.stopped is None
        if first or why is Stop.LOST:
            self.stopped = why
        if first:
            self._note_release(why)
        if first and self.work is not None:
            self.work.cancel(why.value)

    def _note_release(self, why: Stop) -> None:
        """Record for the release what the function waits for, before it is cancelled."""
        self._released.awaited_keys.extend(self._open_keys())
        # With one of several questions answered, the function may be working on that answer. If the worker
        # drains, report it as at work, so that the job is run again.
        self._released.at_work = not self.waits or (why is Stop.DRAIN and self._answered > 0)

    async def release(self) -> None:
        """Release the job, in the state that `stop` recorded. Raises AskbackError."""
        if self.stopped is None:  # the function has ended, and the server refused the report of its end
            self._released.at_work = True
        await self.send("release_job", self._released)

    def close(self) -> None:
        """The function has ended: cancel the timer, and the waits that are left."""
        if self._park is not None:
            self._park.cancel()
        for wait in self._waits.values():
            # The function failed at one of several concurrent questions; the tasks of the others end here.
            wait.future.cancel()


def _is_open(prompt: prompt_pb2.Prompt) -> bool:
    return prompt.state in (
        prompt_pb2.PROMPT_STATE_PENDING,
        prompt_pb2.PROMPT_STATE_UNSPECIFIED,
    )


def _ignore_errors(future: asyncio.Future[Any]) -> None:
    """Ignore errors of a reply that nothing waits for: the function did not cause them."""

    def retrieve(done: asyncio.Future[Any]) -> None:
        if not done.cancelled() and not isinstance(done.exception(), AskbackError | None):
            raise done.exception() or RuntimeError

    future.add_done_callback(retrieve)
