"""Converse and WatchPrompts: which prompts a console receives, in which order, within its credit."""

import asyncio
from typing import Any

from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2 as prompts
from askback.v1 import worker_service_pb2 as wpb
from tests.support.refusals import SOON, expect_refusal
from tests.support.requests import answer, audience, confirm, seconds
from tests.support.service import ServiceWorld, serving
from tests.support.streams import EOF, Console


def titles(shown: list[prompts.Prompt]) -> list[str]:
    return [p.content.title for p in shown]


async def test_the_snapshot_is_sorted_by_priority_deadline_and_age(world: ServiceWorld) -> None:
    made = [
        await world.create_prompt(confirm("old")),
        await world.create_prompt(confirm("late", timeout=seconds(7200))),
        await world.create_prompt(confirm("soon", timeout=seconds(3600))),
        await world.create_prompt(confirm("high", priority=5)),
        await world.create_prompt(confirm("low", priority=-5)),
    ]
    closed = await world.create_prompt(confirm("closed"))
    await world.hitl.AnswerPrompt(answer(closed))
    await world.create_prompt(confirm("elsewhere"), namespace="other")
    console = world.console()
    await console.hello()
    shown, caught_up = await console.snapshot()
    assert titles(shown) == ["high", "soon", "late", "old", "low"]
    assert caught_up.open_prompts == 5
    assert shown[3] == made[0]


async def test_live_changes_follow_the_snapshot(world: ServiceWorld) -> None:
    console = world.console()
    await console.hello(filter=pb.PromptFilter(labels={"team": "a"}))
    await console.snapshot()
    lease = await world.lease_new_job()
    mine = {"labels": {"team": "a"}}
    first = await world.ask(lease, "k", confirm("one", **mine))
    assert (await console.event("upserted")).prompt == first
    second = await world.amend(lease, "k", "two", **mine)
    assert (await console.event("upserted")).prompt == second
    # Amended out of the view while it is open …
    third = await world.amend(lease, "k", "three", labels={"team": "b"})
    removed = await console.event("removed")
    assert (removed.prompt_id, removed.version) == (first.prompt_id, third.version)
    # … and back again, and closed.
    await world.amend(lease, "k", "four", **mine)
    fourth = (await console.event("upserted")).prompt
    await world.hitl.AnswerPrompt(answer(fourth, "won", comment="why"))
    closed = await console.event("closed")
    assert (closed.prompt_id, closed.job_id, closed.answer_id) == (first.prompt_id, lease.job.job_id, "won")
    assert closed.version > fourth.version
    assert closed.resolution.answer.comment == "why"
    # Prompts outside this view are never sent.
    await world.ask(lease, "other", confirm("other", labels={"team": "b"}))
    await console.nothing_more()


async def test_a_console_outside_the_amended_audience_does_not_learn_the_end(lite: ServiceWorld) -> None:
    console = lite.console()
    await console.hello()
    await console.snapshot()
    lease = await lite.lease_new_job()
    await lite.ask(lease, "k", confirm("one"))
    await console.event("upserted")
    prompt = await lite.amend(lease, "k", "two", audience=audience("bob"))
    await console.event("removed")
    await lite.as_user("bob").hitl.AnswerPrompt(answer(prompt))
    await console.nothing_more()


async def test_a_console_sees_its_audience_only(lite: ServiceWorld) -> None:
    for_all = await lite.create_prompt(confirm("all"))
    await lite.create_prompt(confirm("bob", audience=audience("bob")))
    await lite.create_prompt(confirm("law", audience=audience("carl", groups=["law"])))
    seen = {}
    consoles: dict[str, Console] = {}
    for user, groups in (("ada", ""), ("bob", ""), ("lena", "law, ops"), ("carl", "")):
        consoles[user] = lite.console(lite.as_user(user, groups))
        await consoles[user].hello()
        seen[user] = sorted(titles((await consoles[user].snapshot())[0]))
    assert seen == {"ada": ["all"], "bob": ["all", "bob"], "lena": ["all", "law"], "carl": ["all", "law"]}
    live = await lite.create_prompt(confirm("live", audience=audience(groups=["law"])))
    assert (await consoles["lena"].event("upserted")).prompt == live
    for user in ("ada", "bob", "carl"):
        await consoles[user].nothing_more()
    hidden = pb.AnswerPromptRequest(prompt_id=live.prompt_id, answer_id="a", revision=1, decision=1)
    await consoles["ada"].ask_refused("NOT_FOUND", "PROMPT_NOT_FOUND", answer_prompt=hidden)
    await lite.hitl.AnswerPrompt(answer(for_all))
    for console in consoles.values():
        assert (await console.event("closed")).prompt_id == for_all.prompt_id


async def test_credit_limits_prompts_but_not_replies(lite: ServiceWorld) -> None:
    made = [await lite.create_prompt(confirm(f"p{i}", priority=-i)) for i in range(5)]
    console = lite.console()
    await console.hello(credit=2)
    for prompt in made[:2]:
        assert (await console.event("upserted")).prompt == prompt
    await console.nothing_more()  # the reply arrived: it needs no credit
    await console.credit(1)
    assert (await console.event("upserted")).prompt == made[2]
    await console.nothing_more()
    # Closings need no credit either.
    await lite.hitl.AnswerPrompt(answer(made[0]))
    assert (await console.event("closed")).prompt_id == made[0].prompt_id
    await console.nothing_more()
    await console.credit(10)
    assert titles((await console.snapshot())[0]) == ["p3", "p4"]


async def test_a_slow_console_sees_current_and_no_closed_prompts(lite: ServiceWorld) -> None:
    console = lite.console()
    await console.hello(credit=1)
    await console.snapshot()
    lease = await lite.lease_new_job()
    shown = await lite.ask(lease, "shown", confirm("shown"))
    await console.event("upserted")
    # Without credit, later changes are merged.
    closed = await lite.ask(lease, "closed", confirm("closed", priority=9))
    await lite.amend(lease, "shown", "shown again", priority=1)
    await lite.ask(lease, "late", confirm("v1"))
    await lite.amend(lease, "late", "v2")
    newest = await lite.amend(lease, "late", "v3")
    await lite.hitl.AnswerPrompt(answer(closed))
    await console.nothing_more()
    await console.credit(10)
    again = (await console.event("upserted")).prompt
    assert (again.prompt_id, again.content.title) == (shown.prompt_id, "shown again")
    assert (await console.event("upserted")).prompt == newest
    await console.nothing_more()


async def test_credit_is_cut_to_the_limit(lite: ServiceWorld) -> None:
    console = lite.console()
    await console.hello(credit=10_000)
    await console.snapshot()
    await console.credit(2**31 - 1)
    await lite.create_prompt()
    await console.event("upserted")


async def test_two_consoles_race_and_exactly_one_wins(world: ServiceWorld) -> None:
    ada, bob = world.console(), world.console(world.as_user("bob"))
    for console in (ada, bob):
        await console.hello()
        await console.snapshot()
    for i in range(5):
        prompt = await world.create_prompt(confirm(f"race {i}"))
        for console in (ada, bob):
            assert (await console.event("upserted")).prompt == prompt
        frames = {
            name: pb.ConverseClientFrame(ref=7, answer_prompt=answer(prompt, f"by {name}"))
            for name in ("ada", "bob")
        }
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ada.send(frames["ada"]))
            tasks.create_task(bob.send(frames["bob"]))
        verdicts, closings = {}, []
        for name, console in (("ada", ada), ("bob", bob)):
            for _ in range(2):
                frame = await console.frame()
                if frame.WhichOneof("body") == "answer_prompt":
                    assert frame.ref == 7
                    verdicts[name] = frame.answer_prompt.result
                else:
                    closings.append(frame.prompt_event.closed)
            await console.nothing_more()
        statuses = {name: result.status for name, result in verdicts.items()}
        assert sorted(statuses.values()) == [prompts.ANSWER_STATUS_ACCEPTED, prompts.ANSWER_STATUS_CLOSED]
        winner = next(n for n, s in statuses.items() if s == prompts.ANSWER_STATUS_ACCEPTED)
        resolutions = [r.prompt.resolution for r in verdicts.values()] + [c.resolution for c in closings]
        assert len(closings) == 2
        assert {r.answer.answer_id for r in resolutions} == {f"by {winner}"}
        assert {r.actor for r in resolutions} == {winner}


async def test_every_answer_status_is_a_reply_on_the_stream(world: ServiceWorld) -> None:
    console = world.console()
    await console.hello()
    await console.snapshot()
    lease = await world.lease_new_job()
    await world.ask(lease, "k", confirm("one"))
    old = (await console.event("upserted")).prompt
    await world.amend(lease, "k", "two")
    new = (await console.event("upserted")).prompt
    stale = (await console.ask(answer_prompt=answer(old, "stale"))).result
    assert stale.status == prompts.ANSWER_STATUS_STALE
    assert stale.prompt.content.title == "two"
    # A refused answer is counted, so the prompt has a new version.
    assert (await console.event("upserted")).prompt.submissions == 1
    invalid = (await console.ask(answer_prompt=answer(new, "invalid", prompts.DECISION_REVISE))).result
    assert invalid.status == prompts.ANSWER_STATUS_INVALID
    assert [v.field for v in invalid.violations] == ["comment"]
    await console.event("upserted")
    accepted = (await console.ask(answer_prompt=answer(new, "right"))).result
    assert (accepted.status, accepted.replayed) == (prompts.ANSWER_STATUS_ACCEPTED, False)
    await console.event("closed")
    again = (await console.ask(answer_prompt=answer(new, "right"))).result
    assert (again.status, again.replayed) == (prompts.ANSWER_STATUS_ACCEPTED, True)
    late = (await console.ask(answer_prompt=answer(new, "late"))).result
    assert late.status == prompts.ANSWER_STATUS_CLOSED
    assert late.prompt.resolution.answer.answer_id == "right"
    reused = answer(new, "late", comment="other")
    await console.ask_refused("ALREADY_EXISTS", "ID_REUSED", answer_prompt=reused)


async def test_the_end_of_a_job_closes_its_prompts(lite: ServiceWorld) -> None:
    console = lite.console()
    await console.hello()
    await console.snapshot()
    lease = await lite.lease_new_job()
    for key in ("a", "b"):
        await lite.ask(lease, key)
        await console.event("upserted")
    await lite.workers.CompleteJob(wpb.CompleteJobRequest(job_id=lease.job.job_id, token=lease.token))
    for _ in range(2):
        closed = await console.event("closed")
        assert closed.resolution.state == prompts.PROMPT_STATE_CANCELLED
        assert closed.resolution.reason == "the job completed"
        assert not closed.answer_id


async def test_large_prompts_come_in_small_messages(lite: ServiceWorld) -> None:
    # Together more than the 4 MiB that clients accept.
    for _ in range(12):
        await lite.create_prompt(confirm("big", body="x" * 400_000))
    console = lite.console()
    await console.hello()
    shown, caught_up = await console.snapshot()
    assert len(shown) == caught_up.open_prompts == 12
    assert console.messages > 4


# WatchPrompts: the same view without requests.


class Watch:
    """A reader of WatchPrompts."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self._waiting: list[Any] = []

    async def event(self, kind: str = "") -> Any:
        """The next event."""
        while not self._waiting:
            async with asyncio.timeout(SOON):
                message = await self.call.read()
            if message is EOF:
                raise EOFError
            self._waiting += message.events
        event = self._waiting.pop(0)
        assert kind in ("", event.WhichOneof("event")), event
        return getattr(event, event.WhichOneof("event"))


async def test_watch_prompts_shows_the_same_events(world: ServiceWorld) -> None:
    first = await world.create_prompt(confirm("first", kind="preview"))
    await world.create_prompt(confirm("other"))
    filter = pb.PromptFilter(kinds=["preview"])
    watch = Watch(world.hitl.WatchPrompts(pb.WatchPromptsRequest(filter=filter)))
    assert (await watch.event("upserted")).prompt == first
    caught_up = await watch.event("caught_up")
    assert caught_up.open_prompts == 1
    second = await world.create_prompt(confirm("second", kind="preview"))
    assert (await watch.event("upserted")).prompt == second
    await world.hitl.AnswerPrompt(answer(first, "won"))
    assert (await watch.event("closed")).answer_id == "won"
    watch.call.cancel()
    request = pb.WatchPromptsRequest(filter=filter, resume_token=caught_up.resume_token)
    again = Watch(world.hitl.WatchPrompts(request))
    seen = {type(await again.event()).__name__ for _ in range(2)}
    assert seen == {"PromptUpserted", "PromptClosed"}
    assert (await again.event("caught_up")).open_prompts == -1
    foreign = pb.WatchPromptsRequest(resume_token=caught_up.resume_token)
    other = Watch(world.hitl.WatchPrompts(foreign))
    assert (await other.event("reset_view")).reason
    await other.event("upserted")


async def test_watch_prompts_sends_bookmarks_for_a_quiet_view(lite_url: str) -> None:
    async with serving(lite_url, heartbeat=0.1) as world:
        watch = Watch(world.hitl.WatchPrompts(pb.WatchPromptsRequest()))
        await watch.event("caught_up")
        assert (await watch.event("bookmark")).resume_token


async def test_watch_prompts_refuses_a_filter_by_state(lite: ServiceWorld) -> None:
    request = pb.WatchPromptsRequest(filter=pb.PromptFilter(states=[1]))
    found = await expect_refusal(lite.hitl.WatchPrompts(request).read(), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert set(found.violations) == {"filter.states"}
