"""Rights that are revoked or granted while streams are open, by changing the token file."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import worker_service_pb2 as workers
from askback_server.transport.tokens import hash_token
from tests.support.refusals import refusal_of
from tests.support.requests import ACCEPT, audience, confirm, seconds
from tests.support.service import ServiceWorld, serving
from tests.support.streams import EOF
from tests.support.waiting import until

ALL = ["client", "worker", "console"]


@dataclass
class Tokens:
    """The token file, in which the entry of `eve` changes."""

    file: Path
    eve: dict[str, Any] = field(
        default_factory=lambda: {"roles": ALL, "groups": ["desk"], "namespaces": ["default"]}
    )
    now: Callable[[], None] = lambda: None

    def write(self, *, without_eve: bool = False, **changed: Any) -> None:
        """Write the file and make a running server read it at once."""
        self.eve = {**self.eve, **changed}
        boss = {"roles": ALL, "groups": ["boss"], "namespaces": ["default", "other"]}
        people = {"boss": boss} if without_eve else {"boss": boss, "eve": self.eve}
        lines = []
        for name, fields in people.items():
            lines.append(
                f'[[tokens]]\nsha256 = "{hash_token(name)}"\nsubject = "{fields.get("subject", name)}"'
            )
            lines += [f"{key} = {fields[key]}".replace("'", '"') for key in ("roles", "groups", "namespaces")]
            if "expires" in fields:
                lines.append(f"expires = {fields['expires'].isoformat()}")
        self.file.write_text("\n".join(lines))
        self.now()


@pytest.fixture
async def tokens(tmp_path: Path) -> Tokens:
    made = Tokens(tmp_path / "tokens.toml")
    made.write()
    return made


@pytest.fixture
async def world(lite_url: str, tokens: Tokens) -> AsyncIterator[ServiceWorld]:
    async with serving(lite_url, auth=str(tokens.file), heartbeat=0.3) as running:
        open_calls = running.service._server.calls.streams  # type: ignore[union-attr]
        file = running.service._server.calls._authenticator._authenticator  # type: ignore[union-attr]

        def look() -> None:
            file._refresh()
            open_calls.check()

        tokens.now = look
        yield running


async def status(call: Any) -> Any:
    """Read to the end; the refusal."""
    try:
        async with asyncio.timeout(10):
            while await call.read() is not EOF:
                pass
    except grpc.aio.AioRpcError as error:
        return refusal_of(error)
    raise AssertionError("the call ended in order")


async def open_everything(world: ServiceWorld) -> dict[str, Any]:
    """Open calls of eve of every long-running kind, by name, all registered at the server."""
    eve, boss = world.with_token("eve"), world.with_token("boss")
    job = (await boss.jobs.CreateJob(jobs.CreateJobRequest(job_type="held"))).job
    prompt = (await boss.jobs.CreateJob(jobs.CreateJobRequest(job_type="q", prompt=confirm()))).prompt
    console, worker = world.console(eve), world.worker(eve)
    await console.hello()
    await worker.hello("none")
    calls = {
        "Converse": console,
        "Work": worker,
        "WatchPrompts": eve.hitl.WatchPrompts(hitl.WatchPromptsRequest()),
        "WatchJobs": eve.jobs.WatchJobs(jobs.WatchJobsRequest()),
        "WatchJob": eve.jobs.WatchJob(jobs.WatchJobRequest(job_id=job.job_id)),
        "LeaseJobs": eve.workers.LeaseJobs(
            workers.LeaseJobsRequest(worker_id="u", job_types=["none"], wait=seconds(20))
        ),
        "AwaitPrompt": eve.workers.AwaitPrompt(
            workers.AwaitPromptRequest(prompt_id=prompt.prompt_id, wait=seconds(20))
        ),
    }
    for name in ("WatchPrompts", "WatchJobs", "WatchJob"):
        await calls[name].read()
    open_calls = world.service._server.calls.streams  # type: ignore[union-attr]
    waiting = [asyncio.ensure_future(_wait_for(calls[n])) for n in ("LeaseJobs", "AwaitPrompt")]
    await until(lambda: open_calls.total == len(calls))
    calls["LeaseJobs"], calls["AwaitPrompt"] = waiting
    return calls


async def _wait_for(call: Any) -> Any:
    return await call


async def end_of(call: Any) -> Any:
    """The refusal that ends a call of `open_everything`."""
    if isinstance(call, asyncio.Task):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async with asyncio.timeout(10):
                await call
        return refusal_of(refused.value)
    return await (call.wait_for_end() if hasattr(call, "wait_for_end") else status(call))


@pytest.mark.parametrize("how", ["removed", "expired", "another's"])
async def test_revoking_a_token_ends_its_open_calls(world: ServiceWorld, tokens: Tokens, how: str) -> None:
    if how == "expired":
        tokens.write(expires=datetime.now(UTC) + timedelta(seconds=2))
    calls = await open_everything(world)
    match how:
        case "removed":
            tokens.write(without_eve=True)
        case "another's":
            tokens.write(subject="mallory")
    for name, call in calls.items():
        found = await end_of(call)
        assert (name, found.code.name, found.reason) == (name, "UNAUTHENTICATED", "UNAUTHENTICATED")
    open_calls = world.service._server.calls.streams  # type: ignore[union-attr]
    await until(lambda: not open_calls.total)
    assert not open_calls._expiring or how == "expired"


@pytest.mark.parametrize(
    ("changed", "ended"),
    [
        ({"roles": ["client"]}, {"Converse", "WatchPrompts", "Work", "LeaseJobs", "AwaitPrompt"}),
        ({"roles": ["console"]}, {"Work", "WatchJobs", "WatchJob", "LeaseJobs"}),
        (
            {"namespaces": ["other"]},
            {"Converse", "WatchPrompts", "Work", "WatchJobs", "WatchJob", "LeaseJobs"},
        ),
        ({"groups": ["other"]}, set()),
    ],
)
async def test_losing_a_right_ends_the_calls_that_need_it(
    world: ServiceWorld, tokens: Tokens, changed: dict[str, Any], ended: set[str]
) -> None:
    calls = await open_everything(world)
    tokens.write(**changed)
    for name in sorted(ended - {"AwaitPrompt"}):
        found = await end_of(calls[name])
        assert (name, found.code.name) in [(name, "PERMISSION_DENIED"), (name, "NOT_FOUND")]
    open_calls = world.service._server.calls.streams  # type: ignore[union-attr]
    left = len(calls) - len(ended - {"AwaitPrompt"})
    await until(lambda: open_calls.total == left)
    for call in calls.values():
        call.cancel() if hasattr(call, "cancel") else await call.aclose()


@pytest.mark.parametrize("door", ["Converse", "WatchPrompts"])
async def test_a_view_follows_the_groups_of_its_token(world: ServiceWorld, tokens: Tokens, door: str) -> None:
    eve, boss = world.with_token("eve"), world.with_token("boss")

    async def ask(title: str, *groups: str) -> str:
        content = confirm(title, audience=audience(groups=groups))
        created = await boss.jobs.CreateJob(jobs.CreateJobRequest(job_type="q", prompt=content))
        return str(created.prompt.prompt_id)

    shown: dict[str, str] = {}
    events: list[str] = []
    replies: dict[int, Any] = {}
    desk, both, other = (
        await ask("desk", "desk"),
        await ask("both", "desk", "other"),
        await ask("other", "other"),
    )

    async def read() -> None:
        if door == "Converse":
            while True:
                frame = await console.frame()
                replies[frame.ref] = frame
                if frame.HasField("prompt_event"):
                    take(frame.prompt_event)
        async for message in call:
            for event in message.events:
                take(event)

    def take(event: Any) -> None:
        kind = event.WhichOneof("event")
        events.append(kind)
        if kind == "upserted":
            shown[event.upserted.prompt.prompt_id] = event.upserted.prompt.content.title
        elif kind == "removed":
            shown.pop(event.removed.prompt_id, None)

    if door == "Converse":
        console = world.console(eve)
        await console.hello()
    else:
        call = eve.hitl.WatchPrompts(hitl.WatchPromptsRequest())
    reading = asyncio.create_task(read())
    await until(lambda: shown.keys() == {desk, both})
    tokens.write(groups=["other"])
    await until(lambda: shown.keys() == {both, other})
    more = await ask("more", "other")
    await ask("not for eve any more", "desk")
    await until(lambda: shown.keys() == {both, other, more})
    tokens.write(groups=["desk", "other"])
    await until(lambda: len(shown) == 5)
    # Removed and granted again at once: nothing stays hidden.
    tokens.write(groups=["nothing"])
    tokens.write(groups=["desk", "other"])
    await asyncio.sleep(0.3)
    await until(lambda: len(shown) == 5)
    assert events.count("caught_up") >= 3
    assert "reset_view" not in events
    if door == "Converse":
        # A hidden prompt cannot be answered on the stream that showed it.
        tokens.write(groups=["nothing"])
        answer = hitl.AnswerPromptRequest(prompt_id=desk, answer_id="a", revision=1, decision=ACCEPT)
        await console.send(hitl.ConverseClientFrame(ref=9, answer_prompt=answer))
        await until(lambda: 9 in replies)
        assert replies[9].error.reason == "ERROR_REASON_PROMPT_NOT_FOUND"
    reading.cancel()


async def test_a_token_from_before_a_change_of_access_is_replaced(
    world: ServiceWorld, tokens: Tokens
) -> None:
    """Else a console whose stream breaks after it was shown more, and that may see less again by then, would
    resume from it and keep what it may not see."""
    eve, boss = world.with_token("eve"), world.with_token("boss")
    content = confirm("secret", audience=audience(groups=["other"]))
    created = await boss.jobs.CreateJob(jobs.CreateJobRequest(job_type="q", prompt=content))
    console = world.console(eve)
    await console.hello()
    await console.snapshot()
    tokens.write(groups=["desk", "other"])
    newest = (await console.event("bookmark")).resume_token
    assert (await console.event("upserted")).prompt.prompt_id == created.prompt.prompt_id
    await console.aclose()
    tokens.write(groups=["desk"])
    console = world.console(eve)
    await console.hello(resume_token=newest)
    await console.event("reset_view")
    assert (await console.snapshot())[0] == []


@pytest.mark.parametrize("was_admin", [True, False])
async def test_a_token_from_before_a_change_of_the_role_admin_is_refused(
    world: ServiceWorld, tokens: Tokens, was_admin: bool
) -> None:
    """Else a former admin would keep what it may not see, and a new one would not get what it may."""
    boss = world.with_token("boss")
    content = confirm("secret", audience=audience(groups=["boss"]))
    secret = (await boss.jobs.CreateJob(jobs.CreateJobRequest(job_type="q", prompt=content))).prompt.prompt_id
    token = ""
    for is_admin in (was_admin, not was_admin):
        tokens.write(roles=[*ALL, "admin"] if is_admin else ALL)
        console = world.console(world.with_token("eve"))
        await console.hello(resume_token=token)
        if token:
            await console.event("reset_view")
        shown, caught_up = await console.snapshot()
        assert [p.prompt_id for p in shown] == [secret] * is_admin
        token = caught_up.resume_token
        await console.aclose()
