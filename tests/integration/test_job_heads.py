"""The audience of one of a job's prompts reads the job's head: GetJob, WatchJob and `explain`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from askback import Client, JobState, PermissionDenied
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_pb2
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as workers
from askback_server.domain.events import EventType
from askback_server.transport.job_heads import _EVENTS
from askback_server.transport.tokens import hash_token
from tests.support.refusals import SOON, expect_refusal, refusal_of
from tests.support.requests import REJECT, answer, audience, confirm, seconds
from tests.support.service import ServiceWorld, serving
from tests.support.shell import Shell
from tests.support.streams import ABSENT_ID, EOF

PEOPLE = {
    "asker": (["client", "worker", "console"], ["law", "ops"]),
    "lara": (["console"], ["law"]),
    "otto": (["console"], ["ops"]),
    "eve": (["console"], []),
}
ALL_STATES = [number for number in prompts.PromptState.values() if number]


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
            calls._authenticator._authenticator._refresh()  # type: ignore[attr-defined]
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


def lease_fields(leased: workers.LeasedJob) -> dict[str, Any]:
    return {"job_id": leased.job.job_id, "token": leased.token}


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
        workers.SaveCheckpointRequest(
            key="canary-step", value_json='"canary-checkpoint"', **lease_fields(leased)
        )
    )
    await world.workers.ReportProgress(
        workers.ReportProgressRequest(
            progress=job_pb2.Progress(done=1, total=4, message="packing"),
            milestone=True,
            **lease_fields(leased),
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
        await world.workers.FailJob(workers.FailJobRequest(failure=failure, **lease_fields(leased)))
    elif how == "completed":
        await world.workers.CompleteJob(
            workers.CompleteJobRequest(result_json='"canary-result"', **lease_fields(leased))
        )
    elif how == "cancelled":
        await world.jobs.CancelJob(jobs.CancelJobRequest(job_id=leased.job.job_id, reason="canary-reason"))
        await world.workers.ReleaseJob(workers.ReleaseJobRequest(**lease_fields(leased)))


async def all_events(call: Any) -> list[job_pb2.JobEvent]:
    found: list[job_pb2.JobEvent] = []
    async with asyncio.timeout(SOON):
        while (message := await call.read()) is not EOF:
            found += message.events
    return found


def names(events: list[job_pb2.JobEvent]) -> list[str]:
    return [job_pb2.JobEventType.Name(e.type).removeprefix("JOB_EVENT_TYPE_") for e in events]


@pytest.mark.parametrize("how", ["failed", "completed", "cancelled"])
async def test_the_audience_sees_the_head_of_a_job(world: ServiceWorld, how: str) -> None:
    leased = await busy_job(world)
    lara, job_id = world.with_token("lara"), leased.job.job_id
    get = jobs.GetJobRequest(job_id=job_id)
    found = await lara.jobs.GetJob(get)
    assert [p.content.title for p in found.open_prompts] == ["For law"]
    head = found.job
    assert (head.job_type, head.user_id, head.labels["team"]) == ("refund", "asker", "red")
    assert (head.state, head.progress.message, head.progress.total) == (3, "packing", 4)
    assert (head.rounds, head.open_prompts, head.open_blocking_prompts) == (1, 1, 1)
    whole = (await world.jobs.GetJob(get)).job
    assert not whole.head_only
    assert (whole.rounds, whole.input_json) == (2, '"canary-input"')
    await end_job(world, leased, how)
    # Its prompts are closed, but still visible to their audience.
    for consistency in (jobs.CONSISTENCY_UNSPECIFIED, jobs.CONSISTENCY_STRONG):
        get.consistency = consistency
        found = await lara.jobs.GetJob(get)
        assert found.job.head_only
        assert "canary" not in str(found)
    assert {f.name for f, _ in found.job.ListFields()} == {
        "job_id",
        "namespace",
        "job_type",
        "user_id",
        "state",
        "progress",
        "labels",
        "rounds",
        "version",
        "create_time",
        "update_time",
        "complete_time",
        "purge_time",
        "head_only",
    } | ({"cancel_request_time"} if how == "cancelled" else set())
    assert (found.job.state, found.job.rounds, found.job.open_prompts) == (
        {"completed": 4, "failed": 5, "cancelled": 6}[how],
        1,
        0,
    )
    listed = await lara.hitl.ListPrompts(
        hitl.ListPromptsRequest(filter=hitl.PromptFilter(job_id=job_id, states=ALL_STATES))
    )
    assert ([p.content.title for p in listed.prompts], listed.total_size) == (["For law"], 1)


@pytest.mark.parametrize("how", ["failed", "completed", "cancelled", "superseded"])
async def test_a_closed_prompt_reveals_nothing_beyond_the_head(lite: ServiceWorld, how: str) -> None:
    leased = await busy_job(lite)
    if how == "superseded":
        content = confirm("canary-title", audience=audience(groups=["ops"]))
        await lite.ask(leased, "canary-successor", content, supersedes_keys=["law"])
    await end_job(lite, leased, how)
    lara = lite.with_token("lara")
    job = hitl.PromptFilter(job_id=leased.job.job_id, states=ALL_STATES)
    [closed] = (await lara.hitl.ListPrompts(hitl.ListPromptsRequest(filter=job))).prompts
    assert closed.resolution.reason
    assert "canary" not in str(closed)


@pytest.mark.parametrize("how", ["failed", "completed", "cancelled"])
async def test_the_audience_follows_the_head_of_a_job(world: ServiceWorld, how: str) -> None:
    leased = await busy_job(world)
    watch = world.with_token("lara").jobs.WatchJob(jobs.WatchJobRequest(job_id=leased.job.job_id))
    first = await watch.read()
    await end_job(world, leased, how)
    live = [*first.events, *await all_events(watch)]
    again = await all_events(
        world.with_token("lara").jobs.WatchJob(jobs.WatchJobRequest(job_id=leased.job.job_id))
    )
    assert live == again
    assert "canary" not in str(live)
    assert [e.seq for e in live] == list(range(1, len(live) + 1))
    assert names(live)[:6] == [
        "JOB_CREATED",
        "JOB_LEASED",
        "WITHHELD",
        "JOB_PROGRESSED",
        "PROMPT_ASKED",
        "WITHHELD",
    ]
    assert names(live)[-1] == f"JOB_{how.upper()}"
    assert (live[0].actor, live[0].data_json) == ("asker", '{"job_type":"refund"}')
    assert '"message":"packing"' in live[3].data_json
    assert "For law" in live[4].data_json
    assert {f.name for f, _ in live[5].ListFields()} == {"job_id", "seq", "type", "time", "state"}
    assert all(not e.data_json and not e.actor for e in live if e.type != 3 and e.seq > 1 and not e.prompt_id)
    # Names of workers are hidden: of the one that asked, and of the one that ended the job.
    assert {e.actor for e in live if e.prompt_id} == {""}
    # The asker sees everything.
    whole = await all_events(world.jobs.WatchJob(jobs.WatchJobRequest(job_id=leased.job.job_id)))
    assert "WITHHELD" not in names(whole)
    assert [e.state for e in whole] == [e.state for e in live]


async def test_a_job_is_hidden_from_consoles_outside_its_audiences(world: ServiceWorld) -> None:
    leased = await busy_job(world)
    plain = await world.create("refund")
    for job_id in (leased.job.job_id, plain.job_id, ABSENT_ID):
        eve = world.with_token("eve")
        get = await expect_refusal(
            eve.jobs.GetJob(jobs.GetJobRequest(job_id=job_id)), "NOT_FOUND", "JOB_NOT_FOUND", job_id=job_id
        )
        watch = await expect_refusal(
            eve.jobs.WatchJob(jobs.WatchJobRequest(job_id=job_id)).read(),
            "NOT_FOUND",
            "JOB_NOT_FOUND",
            job_id=job_id,
        )
        assert get == watch
        assert get.message.replace(job_id, "") == (
            await expect_refusal(
                eve.jobs.GetJob(jobs.GetJobRequest(job_id=ABSENT_ID)), "NOT_FOUND", "JOB_NOT_FOUND"
            )
        ).message.replace(ABSENT_ID, "")
        page = await eve.hitl.ListPrompts(
            hitl.ListPromptsRequest(filter=hitl.PromptFilter(job_id=job_id, states=ALL_STATES))
        )
        assert (len(page.prompts), page.total_size) == (0, 0)


async def test_a_prompt_without_audience_opens_the_head_to_every_console(lite: ServiceWorld) -> None:
    prompt = await lite.create_prompt(confirm("For all"), input_json='"canary"')
    found = await lite.with_token("eve").jobs.GetJob(jobs.GetJobRequest(job_id=prompt.job_id))
    assert (found.job.workerless, found.job.input_json) == (True, "")
    await lite.hitl.AnswerPrompt(answer(prompt, decision=REJECT, comment="canary"))
    found = await lite.with_token("eve").jobs.GetJob(jobs.GetJobRequest(job_id=prompt.job_id))
    assert (found.job.state, found.job.result_json) == (4, "")


async def refusal_of_watch(watch: Any) -> Any:
    """The refusal that ends a watch."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await all_events(watch)
    return refusal_of(raised.value)


async def watching(world: ServiceWorld, who: str, job_id: str, events: int) -> Any:
    """Wait until a watch has sent this number of events and waits for the next."""
    watch = world.with_token(who).jobs.WatchJob(jobs.WatchJobRequest(job_id=job_id))
    told = 0
    async with asyncio.timeout(SOON):
        while told < events:
            told += len((await watch.read()).events)
    return watch


async def test_a_watch_ends_when_an_escalation_replaces_the_audience(world: ServiceWorld) -> None:
    """`replace` hides the prompt and its job from lara. Otto sees it from then on."""
    leased = await world.lease_new_job()
    # The watch must have sent its events before the step.
    step = prompts.EscalationStep(after=seconds(3), to=audience(groups=["ops"]), replace=True)
    content = confirm("Pay?", audience=audience(groups=["law"]), escalation=[step])
    await world.ask(leased, "pay", content)
    watch = await watching(world, "lara", leased.job.job_id, 3)
    found = await refusal_of_watch(watch)
    assert (found.code.name, found.reason) == ("NOT_FOUND", "JOB_NOT_FOUND")
    otto = await watching(world, "otto", leased.job.job_id, 4)
    otto.cancel()
    get = jobs.GetJobRequest(job_id=leased.job.job_id)
    assert (await world.with_token("otto").jobs.GetJob(get)).open_prompts
    await expect_refusal(world.with_token("lara").jobs.GetJob(get), "NOT_FOUND", "JOB_NOT_FOUND")


async def test_a_watch_shows_a_prompt_once_its_audience_includes_the_watcher(lite: ServiceWorld) -> None:
    leased = await lite.lease_new_job()
    await lite.ask(leased, "law", confirm("For law", audience=audience(groups=["law"])))
    await lite.ask(leased, "ops", confirm("For ops", audience=audience(groups=["ops"])))
    watch = await watching(lite, "lara", leased.job.job_id, 4)
    await lite.amend(leased, "ops", "For both", audience=audience(groups=["law", "ops"]))
    [event] = (await watch.read()).events
    assert names([event]) == ["PROMPT_AMENDED"]
    # The other way round: the first prompt becomes hidden, and the second keeps the watch open.
    await lite.amend(leased, "law", "No more", audience=audience(groups=["ops"]))
    [event] = (await watch.read()).events
    assert (names([event]), event.prompt_id) == (["WITHHELD"], "")
    await lite.amend(leased, "ops", "For ops only", audience=audience(groups=["ops"]))
    found = await refusal_of_watch(watch)
    assert found.reason == "JOB_NOT_FOUND"


async def test_a_watch_ends_with_the_group_that_it_needs(world: ServiceWorld, tokens: Tokens) -> None:
    leased = await world.lease_new_job()
    prompt = await world.ask(leased, "law", confirm(audience=audience(groups=["law"])))
    await world.hitl.AnswerPrompt(answer(prompt))
    await world.catch_up()  # nothing else wakes the watch
    watch = await watching(world, "lara", leased.job.job_id, 4)
    for _ in range(5):  # round trips, in which it comes to wait
        await world.job(leased.job.job_id)
    tokens.write(lara=(["console"], ["other"]))
    found = await refusal_of_watch(watch)
    assert (found.code.name, found.reason) == ("NOT_FOUND", "JOB_NOT_FOUND")


async def test_a_watch_follows_groups_that_change(lite: ServiceWorld, tokens: Tokens) -> None:
    leased = await busy_job(lite)
    watch = await watching(lite, "lara", leased.job.job_id, 6)
    tokens.write(lara=(["console"], ["ops"]))
    await lite.amend(leased, "canary-ops", "ops again", audience=audience(groups=["ops"]))
    await lite.amend(leased, "law", "law again", audience=audience(groups=["law"]))
    events = [*(await watch.read()).events]
    while len(events) < 2:
        events += (await watch.read()).events
    assert names(events) == ["PROMPT_AMENDED", "WITHHELD"]
    watch.cancel()


async def test_a_client_that_becomes_a_console_sees_the_head_from_then_on(
    lite: ServiceWorld, tokens: Tokens
) -> None:
    leased = await busy_job(lite)
    tokens.write(lara=(["client"], ["law"]))
    watch = await watching(lite, "lara", leased.job.job_id, 6)
    tokens.write(lara=(["console"], ["law"]))
    await lite.workers.SaveCheckpoint(
        workers.SaveCheckpointRequest(key="canary", value_json="1", **lease_fields(leased))
    )
    [event] = (await watch.read()).events
    assert names([event]) == ["WITHHELD"]
    tokens.write(lara=(["worker"], ["law"]))
    await lite.workers.SaveCheckpoint(
        workers.SaveCheckpointRequest(key="shown", value_json="1", **lease_fields(leased))
    )
    [event] = (await watch.read()).events
    assert "shown" in event.data_json
    watch.cancel()


def test_every_event_type_is_shown_or_withheld_explicitly() -> None:
    withheld = {
        EventType.JOB_CARRIED_OVER,
        EventType.CHECKPOINT_SAVED,
        EventType.UNDERSTANDING_UPDATED,
    }
    of_prompts = {t for t in EventType if t.startswith(("PROMPT_", "ANSWER_"))}
    assert set(_EVENTS) == set(EventType) - withheld - of_prompts


async def test_a_console_may_explain_a_job_of_its_audience(lite: ServiceWorld, tmp_path: Path) -> None:
    """With a console's token only, and never more than the head."""
    leased = await busy_job(lite)
    shell = Shell(tmp_path, f"127.0.0.1:{lite.service.port}", ASKBACK_TOKEN="lara")
    try:
        job_id = leased.job.job_id
        text = (await shell.ok("explain", job_id)).out
        assert "waits for people: 1 question must be answered" in text
        assert "For law" in text
        assert "askback inbox approve" in text
        assert "canary" not in text
        shown = dict(
            row.split("\t", 1)
            for row in (await shell.ok("job", "show", job_id)).out.splitlines()
            if "\t" in row
        )
        assert (shown["type"], shown["progress"]) == ("refund", "1/4 packing (25 %)")
        assert not {"attempt", "worker", "priority", "input"} & shown.keys()
        [prompt] = (await lite.with_token("lara").jobs.GetJob(jobs.GetJobRequest(job_id=job_id))).open_prompts
        await lite.with_token("lara").hitl.AnswerPrompt(answer(prompt))
        found = (await shell.ok("explain", job_id, "--json")).json
        assert found["summary"].endswith("others must answer questions that you may not see")
        assert "canary" not in str(found)
        await end_job(lite, leased, "failed")
        done = await shell.ok("explain", job_id)
        assert "refund" in done.out
        assert "has failed" in done.out
        assert "job retry" not in done.out
        watched = await shell.run("job", "watch", job_id)
        assert watched.code == 5
        assert "canary" not in watched.out + watched.err
    finally:
        shell.end()


async def test_result_raises_for_a_caller_that_sees_only_the_head(lite: ServiceWorld) -> None:
    leased = await busy_job(lite)
    async with Client(f"127.0.0.1:{lite.service.port}", token="lara") as client:
        run = client.run(leased.job.job_id)
        await end_job(lite, leased, "completed")
        job = await run.job()
        assert (job.head_only, job.state, job.created_by) == (True, JobState.COMPLETED, "asker")
        with pytest.raises(PermissionDenied, match="role client"):
            await run.result()
        events = [event async for event in run.watch()]
        assert events[-1].type == "JOB_COMPLETED"
