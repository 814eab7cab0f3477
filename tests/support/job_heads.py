"""A service for tests of job heads: people with tokens, a job with secrets, and the events of a watch."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback_server.transport.tokens import hash_token
from tests.support.refusals import SOON
from tests.support.requests import audience, confirm, of
from tests.support.service import ServiceWorld, serving
from tests.support.streams import EOF

PEOPLE = {
    "asker": (["client", "worker", "console"], ["law", "ops"]),
    "lara": (["console"], ["law"]),
    "otto": (["console"], ["ops"]),
    "eve": (["console"], []),
}


class Tokens:
    """A token file in which each person's name is the token. `write` changes it for the running server."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.now: Callable[[], None] = lambda: None
        self.write()

    def write(self, **changed: tuple[list[str], list[str]]) -> None:
        lines = [
            f'[[tokens]]\nsha256 = "{hash_token(name)}"\nsubject = "{name}"\nroles = {roles}\n'
            f'namespaces = ["default"]\ngroups = {groups}\n'.replace("'", '"')
            for name, (roles, groups) in {**PEOPLE, **changed}.items()
        ]
        self.file.write_text("\n".join(lines))
        self.now()


@pytest.fixture
async def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "tokens.toml")


@contextlib.asynccontextmanager
async def serve(url: str, tokens: Tokens) -> AsyncIterator[ServiceWorld]:
    async with serving(url, auth=str(tokens.file)) as world:
        calls = world.service._server.calls  # type: ignore[union-attr]

        def now() -> None:
            calls._authenticator._authenticator._refresh()  # type: ignore[union-attr]
            calls.streams.check()

        tokens.now = now
        asker = world.with_token("asker")
        world.jobs, world.hitl, world.workers = asker.jobs, asker.hitl, asker.workers
        yield world


@pytest.fixture
async def world(migrated_db_url: str, tokens: Tokens) -> AsyncIterator[ServiceWorld]:
    """Calls as the asker; on each database in turn."""
    async with serve(migrated_db_url, tokens) as running:
        yield running


@pytest.fixture
async def lite(lite_url: str, tokens: Tokens) -> AsyncIterator[ServiceWorld]:
    """The same on SQLite."""
    async with serve(lite_url, tokens) as running:
        yield running


async def busy_job(world: ServiceWorld) -> workers.LeasedJob:
    """A job with a canary in every field that a head must not reveal, and prompts for law and for ops."""
    leased = await world.lease_new_job(
        "refund",
        input_json='"canary-input"',
        labels={"team": "red"},
        request_id="canary-request",
        priority=7,
        max_attempts=2,
    )
    await world.workers.SaveCheckpoint(
        workers.SaveCheckpointRequest(key="canary-step", value_json='"canary-checkpoint"', **of(leased))
    )
    await world.workers.ReportProgress(
        workers.ReportProgressRequest(
            progress=job_pb2.Progress(done=1, total=4, message="packing"),
            milestone=True,
            **of(leased),
        )
    )
    await world.ask(leased, "law", confirm("For law", audience=audience(groups=["law"])))
    await world.ask(leased, "canary-ops", confirm("canary-title", audience=audience(groups=["ops"])))
    return leased


async def end_job(world: ServiceWorld, leased: workers.LeasedJob, how: str) -> None:
    if how == "failed":
        failure = job_pb2.Failure(
            code="canary-code", message="canary-failure", details_json='"canary-details"'
        )
        await world.workers.FailJob(workers.FailJobRequest(failure=failure, **of(leased)))
    elif how == "completed":
        await world.workers.CompleteJob(
            workers.CompleteJobRequest(result_json='"canary-result"', **of(leased))
        )
    elif how == "cancelled":
        await world.jobs.CancelJob(jobs.CancelJobRequest(job_id=leased.job.job_id, reason="canary-reason"))
        await world.workers.ReleaseJob(workers.ReleaseJobRequest(**of(leased)))


async def all_events(call: Any) -> list[job_pb2.JobEvent]:
    found: list[job_pb2.JobEvent] = []
    async with asyncio.timeout(SOON):
        while (message := await call.read()) is not EOF:
            found += message.events
    return found


def names(events: list[job_pb2.JobEvent]) -> list[str]:
    return [job_pb2.JobEventType.Name(e.type).removeprefix("JOB_EVENT_TYPE_") for e in events]
