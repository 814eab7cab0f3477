"""DBOS Transact: a library that stores the steps of workflows in PostgreSQL. Default settings."""

from __future__ import annotations

import asyncio

from dbos import DBOS, SetWorkflowID

from peers.peer import QUESTIONS, PeerOfJobs, Question, WrongReply, answer_to, check_answer, question_of

TOPIC = "answers"
WAIT_SECONDS = 3600.0

_running: list[System] = []
"""The system of this process: workflows are registered when the module is imported."""


class System(PeerOfJobs):
    """DBOS. Workflows run in this process, as Askback's workers do; no server stands between."""

    async def start(self) -> None:
        """Create the tables and start workflows that ask."""
        _running.append(self)
        DBOS(
            config={
                "name": "bench",
                "system_database_url": self.settings.database,
                "log_level": "WARNING",
            }
        )
        await asyncio.to_thread(DBOS.launch)
        await self.open_jobs()

    async def stop(self) -> None:
        """Stop DBOS. Workflows that wait are left as they are."""
        await asyncio.to_thread(DBOS.destroy)

    async def begin(self, job_id: str) -> None:
        """Start a workflow whose id is that of the job."""
        with SetWorkflowID(job_id):
            await DBOS.start_workflow_async(ask, job_id)

    async def answer(self, job_id: str, question: Question) -> None:
        """Send a message to the workflow."""
        await DBOS.send_async(job_id, answer_to(question), TOPIC)

    async def job(self, lane: int) -> None:
        """Run a workflow that only returns."""
        if await work(lane) != lane:
            raise WrongReply("a job has another result")


@DBOS.step()
async def show(job_id: str, number: int) -> None:
    """Show a question to the person; -1 is the end of the job."""
    _running[0].show(job_id, question_of(job_id, number) if number >= 0 else None)


@DBOS.workflow()
async def ask(job_id: str) -> int:
    """Ask all questions of a job."""
    for number in range(QUESTIONS):
        await show(job_id, number)
        check_answer(await DBOS.recv_async(TOPIC, WAIT_SECONDS), job_id, number)
    await show(job_id, -1)
    return QUESTIONS


@DBOS.workflow()
async def work(number: int) -> int:
    """Do a job that asks nothing."""
    return number
