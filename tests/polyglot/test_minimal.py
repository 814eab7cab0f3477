"""The minimal worker in Go."""

from __future__ import annotations

import pytest

from askback import AnswerStatus, Client, JobState
from tests.e2e.stored import read
from tests.polyglot.build import EXAMPLES, ROOT
from tests.polyglot.conftest import Programs
from tests.support.processes import Processes

SOURCE = ROOT / EXAMPLES / "go" / "minimal" / "main.go"


def test_the_minimal_worker_has_at_most_fifty_lines() -> None:
    """Without blank lines and comments, and without long lines."""
    lines = SOURCE.read_text().expandtabs(4).splitlines()
    code = [line for line in lines if line.strip() and not line.strip().startswith("//")]
    assert len(code) <= 50
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("language", ["go"])
@pytest.mark.parametrize(("line", "state"), [("yes", JobState.COMPLETED), ("no", JobState.FAILED)])
async def test_the_minimal_worker_asks_releases_and_resumes(
    processes: Processes, programs: Programs, sqlite_url: str, language: str, line: str, state: JobState
) -> None:
    """The job waits without a worker while the server is killed, and resumes with its answer."""
    server = await processes.server(sqlite_url)
    minimal = programs.start(language, "minimal", server.target, server.target)
    person = programs.console(language, server.target)
    async with Client(server.target, user="boss") as client:
        run = await client.start("deploy", {"version": "1.4"})
        await person.console.wait_for_event("shown", title='Deploy {"version":"1.4"}?')
        async for event in run.watch():
            assert event.type != "JOB_LEASE_LOST"
            if event.type == "JOB_RELEASED":
                break
        await server.crash_and_serve()
        person.type(line)
        await person.console.wait_for_event("verdict")
        events = [event async for event in run.watch()]
        assert events[-1].state is state
        stored = await read(client, run.job_id)
    assert [[s for _, s in answers] for answers in stored.answers.values()] == [[AnswerStatus.ACCEPTED]]
    assert stored.job.attempt == 1
    assert minimal.running
