"""What the measurements need of a system: start it, do a trip, do a job, stop it."""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LANES = 64
"""Trips or jobs at the same time, as in `make bench`."""
SPARE = 2
"""Jobs for each lane: while one is replaced, the lane continues with another."""
QUESTIONS = 50
"""Questions that a job asks before it ends and is replaced."""
OPENED_AT_ONCE = 16
STOP_SECONDS = 10.0

Question = dict[str, Any]


class WrongReply(Exception):
    """A system gave an unexpected reply, or none."""


@dataclass(frozen=True)
class Settings:
    """What a system is given: an empty folder on disk, and a database URL and a program if it needs them."""

    folder: Path
    database: str = ""
    program: str = ""


class Peer(ABC):
    """A running system. All methods run in one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    async def start(self) -> None:
        """Start the system and connect to it. Raises any error if that is not possible."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop what `start` has started, even if that failed half way."""

    @abstractmethod
    async def trip(self, lane: int) -> None:
        """Do a question and its answer on a lane: a number below `LANES`, in use once at a time."""

    @abstractmethod
    async def job(self, lane: int) -> None:
        """Do a job that asks nothing, from its start to its result."""


@dataclass
class AskingJob:
    """A running job whose last question is open."""

    id: str
    question: Question


class PeerOfJobs(Peer):
    """A system whose jobs ask `QUESTIONS` questions one after another.

    Each lane has two jobs, and each job waits with an open question. A trip is the answer to that question
    and the next question of the job: the same steps as a question and its answer, in the other order.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._numbers = itertools.count()
        self._jobs: list[list[AskingJob]] = [[] for _ in range(LANES)]
        """By lane; the first job of a lane is answered next."""
        self._shown: dict[str, asyncio.Future[Question | None]] = {}
        """Who waits for the next question of a job, by its id."""
        self._replacing: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        """Why a job could not be replaced."""

    @abstractmethod
    async def begin(self, job_id: str) -> None:
        """Start a job that calls `show` with its first question."""

    @abstractmethod
    async def answer(self, job_id: str, question: Question) -> None:
        """Answer the open question of a job. Returns when the system has accepted the answer."""

    def show(self, job_id: str, question: Question | None) -> None:
        """Called by a job: show its next question to the person, or None at its end.

        A second call for a question, after a retry of a step, changes nothing.
        """
        waiting = self._shown.pop(job_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(question)

    async def open_jobs(self) -> None:
        """Start the jobs of all lanes."""
        for _ in range(SPARE):
            for first in range(0, LANES, OPENED_AT_ONCE):
                lanes = range(first, first + OPENED_AT_ONCE)
                await asyncio.gather(*(self._open_job(lane) for lane in lanes))

    async def _open_job(self, lane: int) -> None:
        job_id = self.new_id()
        shown = self._expect(job_id)
        await self.begin(job_id)
        question = await shown
        if question is None:
            raise WrongReply(f"job {job_id} ended without a question")
        self._jobs[lane].append(AskingJob(job_id, question))

    def new_id(self) -> str:
        """An id for a job, new in this run."""
        return f"job-{next(self._numbers)}"

    def _expect(self, job_id: str) -> asyncio.Future[Question | None]:
        shown = self._shown[job_id] = asyncio.get_running_loop().create_future()
        return shown

    async def trip(self, lane: int) -> None:
        """Answer a question and wait for the next one; replace the job after its last answer.

        Raises the error of an earlier replacement that failed, since it was not awaited.
        """
        if self._failure is not None:
            raise self._failure
        job = self._jobs[lane].pop(0)
        shown = self._expect(job.id)
        await self.answer(job.id, job.question)
        question = await shown
        if question is not None:
            job.question = question
            self._jobs[lane].append(job)
            return
        task = asyncio.create_task(self._open_job(lane))
        self._replacing.add(task)
        task.add_done_callback(self._finish_replacing)
        if not self._jobs[lane]:
            await task

    def _finish_replacing(self, task: asyncio.Task[None]) -> None:
        self._replacing.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._failure = failure


def question_of(job_id: str, number: int) -> Question:
    """Question `number` of a job: about 480 bytes, different each time."""
    text = f"Step {number} of {job_id} wants to write to the billing system. " * 5
    options = [{"id": f"{job_id}-{number}-{letter}", "label": f"Option {letter}"} for letter in "abc"]
    return {"job": job_id, "number": number, "text": text, "options": options}


def answer_to(question: Question) -> dict[str, Any]:
    """The answer to a question: its first option, with a comment."""
    number, choice = question["number"], question["options"][0]["id"]
    return {"number": number, "choice": choice, "comment": f"Answer {number}: yes, go ahead."}


def check_answer(answer: Any, job_id: str, number: int) -> None:
    """What a job does with an answer. Raises WrongReply unless it belongs to the question."""
    if answer["number"] != number or answer["choice"] != f"{job_id}-{number}-a":
        raise WrongReply(f"{job_id} asked question {number} and got {answer}")


def free_port() -> int:
    """A TCP port of loopback that nothing uses at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start_program(
    command: Sequence[str], folder: Path, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Start a program. Its output goes to the file `log` in the folder."""
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def stop_program(process: subprocess.Popen[bytes] | None) -> None:
    """End a program: ask first, kill after `STOP_SECONDS`. Does nothing for None."""
    if process is None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until a program listens. Raises WrongReply if it ends, or does not listen in time."""
    deadline = time.monotonic() + seconds
    while True:
        if process.poll() is not None:
            raise WrongReply(f"{process.args!r} ended with exit code {process.returncode}")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > deadline:
                raise WrongReply(f"{process.args!r} does not listen after {seconds} s") from None
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
