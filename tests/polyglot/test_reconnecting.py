"""The examples when connections break: no answer is lost or repeated, and a drain goes unnoticed."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from askback import AnswerStatus, Client, JobState, PromptState
from askback.v1 import worker_service_pb2 as pb
from askback.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.e2e.stored import read
from tests.polyglot.conftest import Programs
from tests.polyglot.relay import Relay
from tests.support.processes import Process, Processes, eventually

both = pytest.mark.parametrize("language", ["go", "typescript"])


@both
async def test_an_answer_whose_result_was_lost_is_sent_again_with_its_id(
    processes: Processes, programs: Programs, relay: Relay, sqlite_url: str, language: str
) -> None:
    """The server has committed the answer when the connection breaks; the retry gets the same result."""
    server = await processes.server(sqlite_url)
    relay.target = server.port
    person = programs.console(language, relay.address)
    async with Client(server.target, user="boss") as client:
        run = await client.ask("Deploy 1.4?")
        shown = await person.console.wait_for_event("shown")
        relay.drops_replies = True
        person.type("yes")
        given = await person.console.wait_for_event("answering")

        async def is_answered() -> bool:
            return (await client.prompt(shown["prompt_id"])).state is PromptState.ANSWERED

        await eventually(is_answered, "the answer is committed")
        assert not person.console.events("verdict")
        relay.cut()
        verdict = await person.console.wait_for_event("verdict")
        stored = await read(client, run.job_id)
    assert verdict["answer_id"] == given["answer_id"]
    assert verdict["status"].removeprefix("ANSWER_STATUS_") == "ACCEPTED"
    assert verdict["replayed"]
    assert [s for _, s in stored.answers[shown["prompt_id"]]] == [AnswerStatus.ACCEPTED]


@both
async def test_an_answer_pushed_into_a_broken_connection_reaches_the_worker(
    processes: Processes, programs: Programs, relay: Relay, sqlite_url: str, language: str
) -> None:
    """The resolution is sent again on the next stream."""
    server = await processes.server(sqlite_url, lease_ttl=20)
    relay.target = server.port
    worker = programs.start(language, "worker", relay.address)
    person = programs.console(language, server.target)
    async with Client(server.target, user="boss") as client:
        run = await client.start("release", {"version": "1.4.0"})
        await worker.wait_for_event("asked")
        relay.drops_replies = True
        person.type('{"canary_percent": 10}')
        await person.console.wait_for_event("verdict")
        relay.cut()
        assert (await run.result())["canary_percent"] == 10
        stored = await read(client, run.job_id)
    assert [line["resumed"] for line in worker.events("connected")] == [False, True]
    assert stored.job.proto.token == 1


@both
async def test_a_result_whose_reply_was_lost_is_sent_again(
    processes: Processes, programs: Programs, relay: Relay, sqlite_url: str, language: str
) -> None:
    """The job is completed when the connection breaks: the worker repeats only the completion."""
    server = await processes.server(sqlite_url, lease_ttl=20)
    relay.target = server.port
    worker = programs.start(language, "worker", relay.address)
    person = programs.console(language, server.target)
    async with Client(server.target, user="boss") as client:
        run = await client.start("release", {"version": "1.4.0"})
        await person.console.wait_for_event("shown")
        relay.drop_after = b'"released":true'
        person.type('{"canary_percent": 10}')
        assert (await run.result())["canary_percent"] == 10
        assert not worker.events("ended")
        relay.cut()
        ended = await worker.wait_for_event("ended")
        assert ended["with"] in ("complete_job", "completeJob")
        stored = await read(client, run.job_id)
    assert [line["resumed"] for line in worker.events("connected")] == [False, True]
    assert len(worker.events("leased")) == 1
    assert stored.job.attempt == 1


@both
@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_a_drained_stream_is_kept_until_the_next_one_is_open(
    processes: Processes, programs: Programs, relay: Relay, migrated_db_url: str, language: str
) -> None:
    """A replica drains while prompts are open. The old stream serves until another replica is reachable."""
    a, b = await asyncio.gather(
        *(processes.server(migrated_db_url, name=name, lease_ttl=20, drain_grace=30) for name in "ab")
    )
    relay.target = a.port
    worker = programs.start(language, "worker", relay.address)
    person = programs.console(language, relay.address)
    async with Client(b.target, user="boss") as client:
        runs = [await client.start("release", {"version": version}) for version in ("1.4.0", "1.5.0")]
        await worker.wait_for_event("asked", count=2)
        await person.console.wait_for_event("shown")
        relay.target = 0
        a.signal(signal.SIGTERM)
        for program in (worker, person.console):
            await program.wait_for_event("moving")
            await program.wait_for_event("retrying")
        person.type('{"canary_percent": 10}')
        await person.console.wait_for_event("verdict")
        await worker.wait_for_event("ended")
        relay.target = b.port
        for program in (worker, person.console):
            await program.wait_for_event("connected", replica="b")
        await person.console.wait_for_event("shown", count=2)
        person.type('{"canary_percent": 11}')
        percents = [(await run.result())["canary_percent"] for run in runs]
        assert sorted(percents) == [10, 11]
        stored = [await read(client, run.job_id) for run in runs]
    assert await a.wait_for_end() == 0
    for program in (worker, person.console):
        assert [line["resumed"] for line in program.events("connected")] == [False, True]
        assert not program.events("disconnected")
    # The leases were resumed, not renewed, and no prompt was shown twice.
    assert [s.job.proto.token for s in stored] == [1, 1]
    assert len(person.console.events("shown")) == 2
    await _leave(worker, person.console)


@both
async def test_a_waiting_worker_keeps_its_lease_by_heartbeats(
    processes: Processes, programs: Programs, sqlite_url: str, language: str
) -> None:
    """The job waits for longer than the lease time."""
    server = await processes.server(sqlite_url, lease_ttl=2)
    worker = programs.start(language, "worker", server.target)
    person = programs.console(language, server.target)
    async with Client(server.target, user="boss") as client:
        run = await client.start("release", {"version": "1.4.0"})
        await person.console.wait_for_event("shown")
        await _sessions_expire(server.target, client)
        person.type('{"canary_percent": 10}')
        assert (await run.result())["canary_percent"] == 10
        stored = await read(client, run.job_id)
    assert stored.job.proto.token == 1
    assert len(worker.events("connected")) == 1


@both
async def test_a_console_grants_credit_again_after_each_answer(
    processes: Processes, programs: Programs, sqlite_url: str, language: str
) -> None:
    """A user answers more prompts than the console accepts at once."""
    server = await processes.server(sqlite_url)
    person = programs.console(language, server.target)
    prompts = 40
    async with Client(server.target, user="boss") as client:
        for number in range(prompts):
            await client.ask(f"Deploy 1.{number}?")
            person.type("yes")
        await person.console.wait_for_event("verdict", count=prompts)
    assert len({line["prompt_id"] for line in person.console.events("shown")}) == prompts


@both
async def test_a_worker_with_an_expired_session_gets_the_job_with_a_new_token(
    processes: Processes, programs: Programs, sqlite_url: str, language: str
) -> None:
    """It opens another session, gets the job again, and asks the same prompt."""
    server = await processes.server(sqlite_url, lease_ttl=2)
    worker = programs.start(language, "worker", server.target)
    person = programs.console(language, server.target)
    async with Client(server.target, user="boss") as client:
        run = await client.start("release", {"version": "1.4.0"})
        await person.console.wait_for_event("shown")
        worker.signal(signal.SIGSTOP)

        async def lease_is_lost() -> bool:
            return not (await client.get(run.job_id)).worker_id

        await eventually(lease_is_lost, "the lease is lost")
        person.type('{"canary_percent": 10}')
        await person.console.wait_for_event("verdict")
        worker.signal(signal.SIGCONT)
        assert (await run.result())["canary_percent"] == 10
        stored = await read(client, run.job_id)
    first, second = (line["session_id"] for line in worker.events("connected", resumed=False))
    assert first != second
    leases = worker.events("leased")
    assert [line["token"] for line in leases] == [1, 2]
    assert {line["prompt_id"] for line in worker.events("asked")} == set(stored.prompts)
    await _leave(worker, person.console)


@both
async def test_a_worker_releases_a_job_whose_cancellation_is_requested(
    processes: Processes, programs: Programs, sqlite_url: str, language: str
) -> None:
    """The request reaches the worker while it waits for an answer, and the worker confirms it."""
    server = await processes.server(sqlite_url)
    worker = programs.start(language, "worker", server.target)
    async with Client(server.target, user="boss") as client:
        run = await client.start("release", {"version": "1.4.0"})
        await worker.wait_for_event("asked")
        await run.cancel("not today")
        ended = await worker.wait_for_event("ended")
        assert ended["with"] in ("release_job", "releaseJob")
        assert (await client.get(run.job_id)).state is JobState.CANCELLED
    assert await worker.terminate() == 0


@both
async def test_an_unauthenticated_worker_reports_the_error_and_ends(
    processes: Processes, programs: Programs, sqlite_url: str, language: str
) -> None:
    """It does not retry without credentials."""
    tokens = processes.folder / "tokens.toml"
    tokens.write_text(
        f'[[tokens]]\nsha256 = "{"0" * 64}"\nsubject = "ana"\nroles = ["worker"]\nnamespaces = ["default"]\n'
    )
    server = await processes.server(sqlite_url, auth=tokens)
    worker = programs.start(language, "worker", server.target)
    assert await worker.wait_for_end() == 1
    assert "nauthenticated" in worker.events("refused")[0]["error"]


async def _leave(worker: Process, console: Process) -> None:
    """Both programs end normally on SIGTERM."""
    assert await worker.terminate() == 0
    assert await console.terminate() == 0


async def _sessions_expire(server: str, client: Client) -> None:
    """Open a session without renewing it, and wait until it has expired."""
    run = await client.start("nobody")
    async with grpc.aio.insecure_channel(server) as channel:
        stub: Any = WorkerServiceStub(channel)
        leased = await stub.LeaseJobs(
            pb.LeaseJobsRequest(worker_id="silent", job_types=["nobody"], wait=Duration(seconds=10))
        )
    assert len(leased.jobs) == 1
    async for event in run.watch():
        if event.type == "JOB_LEASE_LOST":
            return
