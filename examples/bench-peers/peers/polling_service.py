"""The service that `polling.py` polls: questions are in memory, and jobs are tasks of this process."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, HTTPException

from peers.peer import Question, check_answer, question_of

app = FastAPI()
_numbers = itertools.count()


@dataclass
class Waiting:
    """A job that waits for the answer to its question."""

    question: Question
    answer: asyncio.Future[Any]
    job: asyncio.Task[None]


_waiting: dict[int, Waiting] = {}
"""By number of the job."""


@app.post("/jobs/{job}/ask")
async def ask(job: int) -> int:
    """Let a job ask its next question. Returns the question's number."""
    number = next(_numbers)
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(_use(answer, job, number))
    _waiting[job] = Waiting(question_of(str(job), number), answer, task)
    return number


async def _use(answer: asyncio.Future[Any], job: int, number: int) -> None:
    check_answer(await answer, str(job), number)


@app.get("/jobs/{job}/questions")
async def list_questions(job: int) -> list[Question]:
    """The open questions of a job: what a page polls."""
    return [_waiting[job].question] if job in _waiting else []


@app.post("/jobs/{job}/answer")
async def give_answer(job: int, body: dict[str, Any]) -> bool:
    """Give an answer to a job. Returns when the job has it."""
    waiting = _waiting.pop(job, None)
    if waiting is None:
        raise HTTPException(404, "no question is open")
    waiting.answer.set_result(body)
    await waiting.job
    return True


@app.post("/jobs/{job}/run")
async def run(job: int) -> int:
    """Run a job that asks nothing. Returns its result."""
    return await asyncio.create_task(_work(job))


async def _work(job: int) -> int:
    return job
