"""Temporal: its development server on a SQLite file; workflows in Python that take answers as updates."""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import Any

from temporalio import workflow
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from peers.peer import (
    QUESTIONS,
    PeerOfJobs,
    Question,
    Settings,
    WrongReply,
    answer_to,
    check_answer,
    free_port,
    question_of,
    start_program,
    stop_program,
    wait_for_port,
)

START_SECONDS = 60.0
QUEUE = "bench"


class System(PeerOfJobs):
    """Temporal. Workflows run in this process, as Askback's workers do.

    An answer is an update, and its reply is the next question: both are in the history by then. An activity
    that shows the question to another person would cost two more turns of the workflow.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._worker: Worker | None = None
        self._working: asyncio.Task[None] | None = None
        self._client: Client | None = None

    async def start(self) -> None:
        """Start the server and a worker, and workflows that ask."""
        port, folder = free_port(), self.settings.folder
        command = [self.settings.program, "server", "start-dev", "--headless", "--ip", "127.0.0.1"]
        command += ["--port", str(port), "--db-filename", str(folder / "temporal.db"), "--log-level", "error"]
        # As Askback's file has. With the default journal a trip takes two to four times as long.
        command += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=FULL"]
        self._process = start_program(command, folder, {**os.environ, "HOME": str(folder)})
        await wait_for_port(port, self._process, START_SECONDS)
        self._client = await self._connect(f"127.0.0.1:{port}")
        self._worker = Worker(
            self._client,
            task_queue=QUEUE,
            workflows=[Ask, Work],
            # The sandbox checks determinism, at a cost.
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        self._working = asyncio.create_task(self._worker.run())
        await self.open_jobs()

    async def _connect(self, address: str) -> Client:
        """Connect to the server. Repeats until its namespace is there."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    client = await Client.connect(address)
                    async for _ in client.list_workflows(limit=1):
                        pass
                    return client
                except (RuntimeError, RPCError):
                    await asyncio.sleep(0.2)

    async def stop(self) -> None:
        """Stop the server, then the worker, whose workflows still wait."""
        await asyncio.to_thread(stop_program, self._process)
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)

    async def begin(self, job_id: str) -> None:
        """Start a workflow whose id is that of the job, and read its first question."""
        assert self._client is not None
        handle = await self._client.start_workflow(Ask.run, job_id, id=job_id, task_queue=QUEUE)
        self.show(job_id, await handle.execute_update(Ask.open_question))

    async def answer(self, job_id: str, question: Question) -> None:
        """Send an answer. The reply is the next question."""
        assert self._client is not None
        handle = self._client.get_workflow_handle(job_id)
        self.show(job_id, await handle.execute_update(Ask.answer, answer_to(question)))

    async def job(self, lane: int) -> None:
        """Run a workflow that only returns, and wait for its result."""
        assert self._client is not None
        found = await self._client.execute_workflow(Work.run, lane, id=self.new_id(), task_queue=QUEUE)
        if found != lane:
            raise WrongReply("a job has another result")


@workflow.defn
class Ask:
    """A job that asks all its questions."""

    @workflow.init
    def __init__(self, job_id: str) -> None:
        self._job_id = job_id
        self._number = 0
        self._answer: Any = None

    @workflow.run
    async def run(self, job_id: str) -> int:
        """Ask all questions of a job."""
        while self._number < QUESTIONS:
            await workflow.wait_condition(lambda: self._answer is not None)
            check_answer(self._answer, job_id, self._number)
            self._answer = None
            self._number += 1
        await workflow.wait_condition(workflow.all_handlers_finished)
        return QUESTIONS

    @workflow.update
    def open_question(self) -> Question | None:
        """The question that waits for an answer; None at the end of the job."""
        return self._open_question()

    def _open_question(self) -> Question | None:
        return question_of(self._job_id, self._number) if self._number < QUESTIONS else None

    @workflow.update
    async def answer(self, answer: dict[str, Any]) -> Question | None:
        """Give the answer to the open question to the job. Returns the next question."""
        self._answer = answer
        await workflow.wait_condition(lambda: self._answer is None)
        return self._open_question()


@workflow.defn
class Work:
    """A job that asks nothing."""

    @workflow.run
    async def run(self, number: int) -> int:
        """Return the number."""
        return number
