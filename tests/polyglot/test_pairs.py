"""Every worker with every console: lease, ask, a refused and an accepted answer, complete, and a SIGKILL."""

from __future__ import annotations

import json
import signal

import pytest

from askback import AnswerStatus, Client, JobState
from tests.e2e.stored import Stored, read
from tests.polyglot.conftest import Programs
from tests.support.processes import Process, Processes

LANGUAGES = ["go", "typescript", "python"]
PAIRS = [(w, c) for w in LANGUAGES for c in LANGUAGES if (w, c) != ("python", "python")]


@pytest.mark.parametrize(("worker_in", "console_in"), PAIRS)
async def test_a_worker_and_a_console_of_any_languages_finish_jobs(
    processes: Processes, programs: Programs, sqlite_url: str, worker_in: str, console_in: str
) -> None:
    """One job with a refused answer; then one whose answer is in transit when the server is killed."""
    # The session outlives the restart, so a worker that resumes it keeps its lease.
    server = await processes.server(sqlite_url, lease_ttl=20)
    worker = programs.start(worker_in, "worker", server.target)
    person = programs.console(console_in, server.target)
    console = person.console
    client_in = worker_in if worker_in != "python" else console_in
    await worker.wait_for_event("connected")
    await console.wait_for_event("connected")

    job_id, client = await _start(programs, client_in, server.target)
    await console.wait_for_event("shown")
    person.type('{"canary_percent": 250}')
    refused = await console.wait_for_event("verdict")
    assert _short(refused["status"]) == "INVALID"
    ((field, wrong),) = refused["violations"].items()
    assert field == "values_json/canary_percent"
    assert "100" in wrong  # it names the allowed range
    person.type('{"canary_percent": 10}')
    accepted = await console.wait_for_event("verdict", count=2)
    assert _short(accepted["status"]) == "ACCEPTED"
    _check_result(await client.wait_for_event("ended"), 10)
    assert await client.wait_for_end() == 0
    async with Client(server.target, user="ana") as asking:
        stored = await read(asking, job_id)
    assert _verdicts(stored) == [AnswerStatus.INVALID, AnswerStatus.ACCEPTED]
    assert _winner(stored) == accepted["answer_id"]
    shown = len(console.events("shown"))

    job_id, client = await _start(programs, client_in, server.target, nth=2)
    await console.wait_for_event("shown", count=shown + 1)
    # The stopped server reads no frames, so it cannot judge the answer before it is killed.
    server.signal(signal.SIGSTOP)
    person.type('{"canary_percent": 25}')
    given = await console.wait_for_event("answering", count=3)
    await server.crash_and_serve()
    accepted = await console.wait_for_event("verdict", count=3)
    assert _short(accepted["status"]) == "ACCEPTED"
    _check_result(await client.wait_for_event("ended"), 25)
    assert await client.wait_for_end() == 0
    async with Client(server.target, user="ana") as asking:
        stored = await read(asking, job_id)
    assert _verdicts(stored) == [AnswerStatus.ACCEPTED]
    assert _winner(stored) == accepted["answer_id"]
    if console_in != "python":
        assert given["answer_id"] == accepted["answer_id"]
        assert console.events("connected")[-1]["resumed"]
        assert len(console.events("shown")) == shown + 1, "a prompt was shown twice"
    if worker_in != "python":
        first, last = worker.events("connected")
        assert last["resumed"]
        assert last["session_id"] == first["session_id"]
    # The session was resumed: the lease is the first one.
    assert stored.job.attempt == 1
    assert stored.job.proto.token == 1
    assert stored.job.state is JobState.COMPLETED
    assert all(prompt.proto.HasField("consume_time") for prompt in stored.prompts.values())

    assert await worker.terminate() == 0
    assert await console.terminate() in ((0,) if console_in != "python" else (0, -signal.SIGTERM))


async def _start(programs: Programs, language: str, server: str, nth: int = 1) -> tuple[str, Process]:
    client = programs.start(language, "start", server, "--user", "boss", nth=nth)
    return (await client.wait_for_event("created"))["job_id"], client


def _short(name: str) -> str:
    """Strip the prefix of an enum value: Go prints it, TypeScript does not."""
    return name.removeprefix("ANSWER_STATUS_").removeprefix("JOB_STATE_")


def _check_result(ended: dict[str, object], percent: int) -> None:
    assert _short(str(ended["state"])) == "COMPLETED"
    result = json.loads(str(ended["result"]))
    assert result["released"] is True
    assert result["canary_percent"] == percent


def _verdicts(stored: Stored) -> list[AnswerStatus]:
    (answers,) = stored.answers.values()
    return [status for _, status in answers]


def _winner(stored: Stored) -> str:
    (prompt,) = stored.prompts.values()
    return prompt.proto.resolution.answer.answer_id
