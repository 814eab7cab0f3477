"""Converse: resuming by token, or a new snapshot after a reset. No change is lost silently."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import job_service_pb2 as jobs
from askback.v1 import prompt_pb2 as prompts
from askback_server.domain.principals import Principal
from askback_server.feed import missed
from askback_server.feed.tokens import ResumeTokens, digest_view
from askback_server.ports.queries import PromptFilter
from askback_server.ports.storage import Position
from askback_server.sessions import converse
from askback_server.storage.settings import put_setting
from askback_server.transport.open_calls import StreamContext
from tests.support.requests import answer, audience, confirm
from tests.support.service import Caller, ServiceWorld, serving
from tests.support.streams import Console

UNCOUNTED = -1
"""The number of open prompts that `caught_up` has after a resume."""


@pytest.fixture
async def beating(migrated_db_url: str) -> AsyncIterator[ServiceWorld]:
    """A service that sends consoles many heartbeats, each with a token."""
    async with serving(migrated_db_url, heartbeat=0.1) as running:
        running.service.replica.feed._poll = 0.02
        yield running


async def leave(world: ServiceWorld, console: Console) -> str:
    """Disconnect; returns the newest token."""
    await console.nothing_more()
    await world.catch_up()
    token = await console.token()
    await console.aclose()
    assert token
    return token


async def token_of_a_view(world: ServiceWorld) -> str:
    """Open a console, read its snapshot and close it. Returns the resume token."""
    console = world.console()
    await console.hello()
    token: str = (await console.snapshot())[1].resume_token
    await console.aclose()
    return token


async def test_resuming_by_token_sends_exactly_the_changes(beating: ServiceWorld) -> None:
    world = beating
    lease = await world.lease_new_job()
    same, answered, _, away, _ = [
        await world.ask(lease, name, confirm(name, labels={"x": "1"}))
        for name in ("same", "answered", "amended", "away", "back")
    ]
    view = pb.PromptFilter(labels={"x": "1"})
    console = world.console()
    await console.hello(filter=view)
    await console.snapshot()
    token = await leave(world, console)

    await world.hitl.AnswerPrompt(answer(answered, "meanwhile"))
    changed = await world.amend(lease, "amended", "amended anew", labels={"x": "1"})
    await world.amend(lease, "away", "gone", labels={"x": "2"})
    await world.amend(lease, "back", "gone", labels={"x": "2"})
    returned = await world.amend(lease, "back", "back again", labels={"x": "1"})
    fresh = await world.ask(lease, "fresh", confirm("fresh", labels={"x": "1"}))
    short = await world.ask(lease, "short", confirm("short", labels={"x": "1"}))
    await world.hitl.AnswerPrompt(answer(short))
    await world.ask(lease, "foreign", confirm("foreign", labels={"x": "2"}))

    again = world.console()
    await again.hello(filter=view, resume_token=token)
    closed, removed, shown = {}, set(), {}
    while True:
        event = (await again.frame()).prompt_event
        match event.WhichOneof("event"):
            case "closed":
                closed[event.closed.prompt_id] = event.closed
            case "removed":
                removed.add(event.removed.prompt_id)
            case "upserted":
                shown[event.upserted.prompt.prompt_id] = event.upserted.prompt
            case "caught_up":
                break
            case other:
                raise AssertionError(other)
    assert shown == {p.prompt_id: p for p in (changed, returned, fresh)}
    assert closed[answered.prompt_id].answer_id == "meanwhile"
    assert set(closed) <= {answered.prompt_id, short.prompt_id}
    assert removed == {away.prompt_id}
    assert event.caught_up.open_prompts == UNCOUNTED
    # The unchanged prompt was not sent again, but its end is.
    await world.hitl.AnswerPrompt(answer(same, "at last"))
    assert (await again.event("closed")).answer_id == "at last"
    await again.nothing_more()


async def test_the_end_of_an_unchanged_prompt_reaches_a_resumed_view(beating: ServiceWorld) -> None:
    world = beating
    lease = await world.lease_new_job()
    await world.ask(lease, "k", confirm("one"))
    console = world.console()
    await console.hello()
    await console.snapshot()
    again = world.console()
    await again.hello(resume_token=await leave(world, console))
    assert (await again.event("caught_up")).open_prompts == UNCOUNTED
    prompt = await world.amend(lease, "k", "two", audience=audience("bob"))
    assert (await again.event("removed")).version == prompt.version
    await world.as_user("bob").hitl.AnswerPrompt(answer(prompt))
    await again.nothing_more()


async def test_a_deletion_resets_a_resumed_view(beating: ServiceWorld) -> None:
    """The audience of deleted prompts is unknown. Without a reset the console would keep showing them."""
    world = beating
    prompt, stays = await world.create_prompt(confirm("gone")), await world.create_prompt(confirm("stays"))
    console = world.console()
    await console.hello()
    await console.snapshot()
    token = await leave(world, console)
    await world.hitl.AnswerPrompt(answer(prompt))
    await world.jobs.DeleteJob(jobs.DeleteJobRequest(job_id=prompt.job_id))
    again = world.console()
    await again.hello(resume_token=token)
    assert "deleted" in (await again.event("reset_view")).reason
    shown, caught_up = await again.snapshot()
    assert shown == [stays]
    assert caught_up.open_prompts == 1


async def test_a_token_does_not_skip_prompts_that_were_not_shown(beating: ServiceWorld) -> None:
    world = beating
    for name in ("a", "b", "c"):
        await world.create_prompt(confirm(name))
    await world.catch_up()  # otherwise a token may lie before them
    console = world.console()
    await console.hello(credit=1)
    await console.event("upserted")
    # The rest waits for credit, so no token may be sent yet.
    assert await console.token() == ""
    await console.credit(10)
    await console.snapshot()
    await console.aclose()
    # Later prompts that wait also hold the token back.
    slow = world.console()
    await slow.hello(credit=3)
    await slow.snapshot()
    late = await world.create_prompt(confirm("late"))
    token = await leave(world, slow)
    again = world.console()
    await again.hello(resume_token=token)
    assert (await again.event("upserted")).prompt == late


async def test_every_heartbeats_token_can_be_resumed_from(beating: ServiceWorld) -> None:
    world, known = beating, set()
    console = world.console()
    await console.hello()
    await console.snapshot()
    for i in range(4):
        prompt = await world.create_prompt(confirm(f"{i}"))
        known.add(prompt.prompt_id)
        assert (await console.event("upserted")).prompt == prompt
        token = await leave(world, console)
        missed = await world.create_prompt(confirm(f"missed {i}"))
        known.add(missed.prompt_id)
        console = world.console()
        await console.hello(resume_token=token)
        shown, caught_up = await console.snapshot()
        assert missed in shown
        assert caught_up.open_prompts == UNCOUNTED


@pytest.mark.parametrize(
    "kind", ["nonsense", "other user", "other groups", "other filter", "other database", "old", "ahead"]
)
async def test_an_unusable_token_gives_a_reset_and_a_snapshot(lite: ServiceWorld, kind: str) -> None:
    prompt = await lite.create_prompt()
    console = lite.console()
    await console.hello()
    token = (await console.snapshot())[1].resume_token
    caller: Caller = lite
    hello = {}
    replica = lite.service.replica
    match kind:
        case "nonsense":
            token = "nonsense"
        case "other user":
            caller = lite.as_user("bob")
        case "other groups":
            caller = lite.as_user("ada", "law")
        case "other filter":
            hello = {"filter": pb.PromptFilter(kinds=["confirm"])}
        case "other database":
            replica.tokens = ResumeTokens(replica.secret, "another")
        case "old":
            database: Any = replica.log
            await database._dialect.run(lambda c: put_setting(c, "feed_tail", "1:0"))
        case "ahead":
            # The token of a database that has lost its last commits: the event that it names does not exist.
            ahead = Position(replica.feed.position.xid, replica.feed.position.id + 1_000)
            token = replica.tokens.make(ahead, digest_view(PromptFilter("default", Principal("ada"))))
    again = lite.console(caller)
    await again.hello(resume_token=token, **hello)
    assert (await again.event("reset_view")).reason
    shown, caught_up = await again.snapshot()
    assert shown == [prompt]
    assert caught_up.open_prompts == 1
    await lite.hitl.AnswerPrompt(answer(prompt))
    assert (await again.event("closed")).prompt_id == prompt.prompt_id


async def test_too_many_changes_are_replaced_by_a_snapshot(
    lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await token_of_a_view(lite)
    made = [await lite.create_prompt(confirm(f"{i}")) for i in range(3)]
    monkeypatch.setattr(missed, "MAX_MISSED_EVENTS", 1)
    again = lite.console()
    await again.hello(resume_token=token)
    await again.event("reset_view")
    assert (await again.snapshot())[0] == made


async def test_a_token_is_honoured_after_a_restart(migrated_db_url: str) -> None:
    async with serving(migrated_db_url, heartbeat=0.1) as world:
        prompt = await world.create_prompt(confirm("before"))
        console = world.console()
        await console.hello()
        await console.snapshot()
        token = await leave(world, console)
        await world.hitl.AnswerPrompt(answer(prompt))
    async with serving(migrated_db_url) as world:
        after = await world.create_prompt(confirm("after"))
        again = world.console()
        await again.hello(resume_token=token)
        assert (await again.event("closed")).prompt_id == prompt.prompt_id
        shown, caught_up = await again.snapshot()
        assert shown == [after]
        assert caught_up.open_prompts == UNCOUNTED
        kept = await world.prompt(prompt.prompt_id)
        assert kept.state == prompts.PROMPT_STATE_ANSWERED


async def test_a_resume_is_one_message_and_its_welcome_waits_for_no_slow_read(
    lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await token_of_a_view(lite)
    changed = await lite.create_prompt()
    written: list[object] = []
    write = StreamContext.write

    async def note_and_write(self: StreamContext, message: object) -> None:
        written.append(message)
        await write(self, message)

    monkeypatch.setattr(StreamContext, "write", note_and_write)
    monkeypatch.setattr(converse, "WELCOME_SECONDS", 3600.0)
    again = lite.console()
    await again.hello(resume_token=token)
    assert [p.prompt_id for p in (await again.snapshot())[0]] == [changed.prompt_id]
    assert len(written) == 1
    await again.aclose()

    monkeypatch.setattr(converse, "WELCOME_SECONDS", 0.01)
    log, may_read = lite.service.replica.log, asyncio.Event()
    read = log.changed_prompts

    async def read_late(*args: Any) -> Any:
        await may_read.wait()
        return await read(*args)

    monkeypatch.setattr(log, "changed_prompts", read_late)
    third = lite.console()
    await third.hello(resume_token=token)
    may_read.set()
    assert [p.prompt_id for p in (await third.snapshot())[0]] == [changed.prompt_id]
