"""The service for operators: health, reflection, start, stop, restart, and logs without content."""

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from askback.v1 import hitl_service_pb2 as hpb
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jpb
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as wpb
from askback_server.config.settings import Config
from askback_server.domain.errors import StorageUnavailable
from askback_server.lifecycle import Service
from askback_server.structured_logs import configure
from askback_server.transport.tokens import BadTokenFile
from tests.support.refusals import SOON, expect_refusal
from tests.support.requests import COMPLETED, RESPOND, answer, confirm, form, seconds
from tests.support.service import ServiceWorld, serving
from tests.support.waiting import until

NAMES = [
    "",
    "askback.v1.JobService",
    "askback.v1.WorkerService",
    "askback.v1.HitlService",
    "askback.v1.AccessService",
]
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def test_health_is_reported_overall_and_per_service(lite: ServiceWorld) -> None:
    stub: Any = health_pb2_grpc.HealthStub(lite.channel)
    for name in NAMES:
        answer_ = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=SOON)
        assert answer_.status == SERVING, name
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await stub.Check(health_pb2.HealthCheckRequest(service="askback.v1.Nothing"), timeout=SOON)
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_watchers_learn_of_a_drain_first(lite_url: str) -> None:
    async with serving(lite_url) as world:
        stub: Any = health_pb2_grpc.HealthStub(world.channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest(service=n), timeout=SOON) for n in NAMES]
        for watch in watches:
            assert (await watch.read()).status == SERVING
        console = world.console()
        await console.hello()
        await console.snapshot()
        stop = asyncio.create_task(world.service.stop())
        for watch in watches:
            assert (await watch.read()).status == NOT_SERVING
        assert (await console.expect("go_away")).reason
        async with asyncio.timeout(SOON):
            await stop
        world.mark_stopped()
        with pytest.raises(grpc.aio.AioRpcError) as gone:
            await world.jobs.ListJobs(jpb.ListJobsRequest(), timeout=1)
        assert gone.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_reflection_lists_and_describes_our_services(lite: ServiceWorld) -> None:
    call: Any = reflection_pb2_grpc.ServerReflectionStub(lite.channel).ServerReflectionInfo(timeout=SOON)
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    listed = {s.name for s in (await call.read()).list_services_response.service}
    assert set(NAMES[1:]) < listed
    assert "grpc.health.v1.Health" in listed
    for name in NAMES[1:]:
        await call.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol=name))
        assert (await call.read()).file_descriptor_response.file_descriptor_proto
    call.cancel()


async def test_commands_are_refused_while_the_engine_drains(lite: ServiceWorld) -> None:
    prompt = await lite.create_prompt()
    console = lite.console()
    await console.hello()
    await console.snapshot()
    await lite.service.replica.engine.drain()
    found = await expect_refusal(
        lite.jobs.CreateJob(jpb.CreateJobRequest(job_type="t")), "UNAVAILABLE", "DRAINING"
    )
    assert found.retry_delay
    found = await console.ask_refused("UNAVAILABLE", "DRAINING", answer_prompt=answer(prompt))
    assert found.retry_delay
    assert (await lite.prompt(prompt.prompt_id)).submissions == 0


async def test_a_stop_waits_for_running_calls(lite_url: str) -> None:
    async with serving(lite_url, drain_grace=SOON) as world:
        waiting = asyncio.ensure_future(world.lease(wait=0.3))
        await until(lambda: world.service.replica.dispatcher._consumers)
        await world.service.stop()
        world.mark_stopped()
        async with asyncio.timeout(SOON):
            assert not (await waiting).jobs


async def test_watchers_do_not_hold_a_stop_up(lite_url: str) -> None:
    async with serving(lite_url, drain_grace=0.2) as world:
        job = await world.create()
        watch = world.jobs.WatchJob(jpb.WatchJobRequest(job_id=job.job_id))
        await watch.read()
        async with asyncio.timeout(SOON):
            await world.service.stop()
        world.mark_stopped()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await watch.read()
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("steps", range(4))
async def test_a_cancel_during_a_wake_up_is_not_lost(lite: ServiceWorld, steps: int) -> None:
    # On Python 3.11 asyncio.wait_for loses the cancel, and the stop would never end.
    replica = lite.service.replica
    for part, wake in (
        (replica.dispatcher.run, replica.dispatcher._wake.set),
        (replica.timers.run, replica.timers._due.set),
    ):
        task = asyncio.create_task(part())
        for _ in range(5):
            await asyncio.sleep(0)
        wake()
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=SOON)
        assert task.cancelled()


async def test_a_part_that_swallows_its_cancel_does_not_hold_a_stop_up(lite_url: str) -> None:
    async with serving(lite_url) as world:

        async def stubborn() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.Event().wait()

        world.service._run("stubborn", stubborn())
        async with asyncio.timeout(SOON):
            await world.service.stop()
        world.mark_stopped()


async def test_jobs_prompts_and_sessions_survive_a_restart(migrated_db_url: str) -> None:
    async with serving(migrated_db_url) as world:
        lease = await world.lease_new_job(input_json='{"b": 1, "a": 9007199254740993}')
        prompt = await world.ask(lease, "k", form())
        session = await world.lease("other", wait=0)
    async with serving(migrated_db_url) as world:
        read = await world.jobs.GetJob(jpb.GetJobRequest(job_id=lease.job.job_id))
        assert read.job.input_json == lease.job.input_json
        assert list(read.open_prompts) == [prompt]
        said = answer(prompt, "a", RESPOND, values_json='{"n": 9007199254740993}')
        await world.hitl.AnswerPrompt(said)
        # The worker's session and lease survive the server.
        names = {"session_id": session.session_id, "session_secret": session.session_secret}
        await world.workers.ExtendLease(wpb.ExtendLeaseRequest(**names))
        done = wpb.CompleteJobRequest(job_id=lease.job.job_id, token=lease.token, result_json="[1]")
        assert (await world.workers.CompleteJob(done)).job.state == COMPLETED
    async with serving(migrated_db_url) as world:
        assert (await world.job(lease.job.job_id)).result_json == "[1]"
        assert (await world.hitl.AnswerPrompt(said)).result.replayed
        kept = await world.prompt(prompt.prompt_id)
        assert kept.resolution.answer.values_json == '{"n": 9007199254740993}'


async def start(**settings: Any) -> None:
    async with Service(Config(listen="127.0.0.1:0", **settings)):
        raise AssertionError("it should not have started")


async def test_unusable_settings_are_refused_at_the_start_with_the_reason(
    lite_url: str, tmp_path: Path
) -> None:
    with pytest.raises(StorageUnavailable, match=r"a.db.lock: No such file or directory"):
        await start(db=f"sqlite+aiosqlite:///{tmp_path}/no/such/folder/a.db")
    with socket.socket() as silent:  # bound, and not listening
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(StorageUnavailable, match=r"."):
            await start(db=f"postgresql+asyncpg://nobody@127.0.0.1:{silent.getsockname()[1]}/none")
    bad = tmp_path / "tokens.toml"
    bad.write_text("[[tokens]]\nsubject = 'x'\n")
    with pytest.raises(BadTokenFile, match=r"entry 1 \(x\).*sha256"):
        await start(db=lite_url, auth=str(bad))
    async with serving(lite_url) as world:
        with pytest.raises(OSError, match=r"is in use: choose another with --listen"):
            await Service(Config(listen=f"127.0.0.1:{world.service.port}", db=f"{lite_url}2")).start()


async def test_an_unmigrated_postgres_is_refused_with_the_fix(
    request: pytest.FixtureRequest,
) -> None:
    server = request.getfixturevalue("postgres")
    url = server.create_database()
    try:
        with pytest.raises(StorageUnavailable, match=r"askback migrate"):
            await start(db=url)
        async with serving(url, migrate=True) as world:
            await world.create()
    finally:
        server.drop_database(url)


SECRETS = {
    "input": "input-swordfish",
    "title": "title-swordfish",
    "body": "body-swordfish",
    "values": "values-swordfish",
    "comment": "comment-swordfish",
    "edit": "edit-swordfish",
    "result": "result-swordfish",
    "checkpoint": "checkpoint-swordfish",
    "failure": "failure-swordfish",
    "token": "token-swordfish",
}


async def test_logs_never_hold_content_or_secrets(
    lite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    import hashlib

    tokens = tmp_path / "tokens.toml"
    digest = hashlib.sha256(SECRETS["token"].encode()).hexdigest()
    tokens.write_text(
        f'[[tokens]]\nsha256 = "{digest}"\nsubject = "ada"\nroles = ["admin"]\nnamespaces = ["default"]\n'
    )
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with caplog.at_level(logging.DEBUG):
        configure("json", "DEBUG")
        root.addHandler(caplog.handler)
        try:
            session_secret, resume_token = await full_flow(lite_url, str(tokens))
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
    # The JSON output, and the records that any handler could receive.
    text = "".join(capfd.readouterr()) + "".join(
        f"{record.getMessage()} {record.__dict__} {record.exc_info}" for record in caplog.records
    )
    assert "askback.server.calls" in text
    assert "request_id" in text
    assert "prompt_id" in text
    leaked = {name: secret for name, secret in SECRETS.items() if secret in text}
    assert not leaked
    assert digest not in text
    assert session_secret not in text
    assert resume_token not in text


async def full_flow(url: str, auth: str) -> tuple[str, str]:
    """Every call that carries content, refused and accepted."""
    async with serving(url, auth=auth, lease_ttl=5) as world:
        me = world.with_token(SECRETS["token"])
        world.jobs, world.workers, world.hitl = me.jobs, me.workers, me.hitl
        console, worker = world.console(me), world.worker(me)
        await console.hello()
        token = (await console.snapshot())[1].resume_token
        await worker.hello()
        await world.create(input_json=f'"{SECRETS["input"]}"')
        await expect_refusal(
            world.jobs.CreateJob(jpb.CreateJobRequest(job_type="t", input_json="{" + SECRETS["input"])),
            "INVALID_ARGUMENT",
            "INVALID_FIELD",
        )
        leased = await worker.next_job()
        of = {"job_id": leased.job.job_id, "token": leased.token}
        saved = wpb.SaveCheckpointRequest(**of, key="k", value_json=f'"{SECRETS["checkpoint"]}"')
        await worker.ask(save_checkpoint=saved)
        parts = [prompts.PromptPart(content_id="c", text=SECRETS["body"], editable=True)]
        decisions = [prompts.DecisionOption(decision=d) for d in (2, 3)]  # type: ignore[arg-type]
        content = form(SECRETS["title"], body=SECRETS["body"], contents=parts, decisions=decisions)
        asked = (await worker.ask(ask_prompt=wpb.AskPromptRequest(**of, key="q", content=content))).prompt
        await console.event("upserted")
        values = f'{{"n": 1, "why": "{SECRETS["values"]}"}}'
        bad = answer(
            asked, "bad", RESPOND, values_json=f'{{"{SECRETS["values"]}": 1}}', comment=SECRETS["comment"]
        )
        await expect_refusal(world.hitl.AnswerPrompt(bad), "INVALID_ARGUMENT", "ANSWER_INVALID")
        edits = [prompts.Edit(content_id="c", text=SECRETS["edit"])]
        good = answer(
            asked, "good", prompts.DECISION_EDIT, values_json=values, edits=edits, comment=SECRETS["comment"]
        )
        await console.send(hpb.ConverseClientFrame(ref=5, answer_prompt=good))
        await worker.expect("prompt_resolved")
        await expect_refusal(
            world.hitl.AnswerPrompt(answer(asked, "late", comment=SECRETS["comment"])),
            "FAILED_PRECONDITION",
            "PROMPT_CLOSED",
        )
        assert (await worker.expect("prompt_resolved")).late_answer
        failure = job_pb2.Failure(code="E", message=SECRETS["failure"])
        again = wpb.FailJobRequest(**of, failure=failure, retryable=True, retry_delay=seconds(0.001))
        await worker.ask(fail_job=again)
        leased = await worker.next_job()
        of = {"job_id": leased.job.job_id, "token": leased.token}
        await worker.ask(complete_job=wpb.CompleteJobRequest(**of, result_json=f'"{SECRETS["result"]}"'))
        workerless = await world.create_prompt(confirm(SECRETS["title"]))
        await world.hitl.AnswerPrompt(answer(workerless, comment=SECRETS["comment"]))
        await expect_refusal(
            world.with_token("wrong-" + SECRETS["token"]).jobs.ListJobs(jpb.ListJobsRequest()),
            "UNAUTHENTICATED",
            "UNAUTHENTICATED",
        )
        return worker.secret, token
