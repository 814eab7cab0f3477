"""GetOverview: the figures of a namespace for clients, those of its own view for a console."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from askback.v1 import job_service_pb2 as pb
from tests.integration.test_permissions import person
from tests.support.refusals import expect_refusal
from tests.support.requests import answer, audience, confirm, seconds
from tests.support.service import Caller, ServiceWorld, serving
from tests.support.waiting import until

HOUR, DAY = 3_600, 86_400


async def overview(caller: Caller, **fields: Any) -> Any:
    return await caller.jobs.GetOverview(pb.GetOverviewRequest(**fields))


async def ask(caller: Caller, job_type: str = "t", **content: Any) -> Any:
    request = pb.CreateJobRequest(job_type=job_type, prompt=confirm(**content))
    return (await caller.jobs.CreateJob(request)).prompt


async def test_an_empty_namespace_has_figures_of_zero(world: ServiceWorld) -> None:
    found = await overview(world)
    assert found.time.ToDatetime()
    assert (found.waiting.total, found.waiting.partial, list(found.oldest)) == (0, False, [])
    assert [bound.seconds for bound in found.waiting.age_bounds] == [60, 300, HOUR, DAY, 7 * DAY]
    assert list(found.waiting.by_age) == [0] * 6
    assert (found.streams.consoles, found.streams.people, found.streams.workers) == (0, 0, 0)
    activity = found.activity
    assert activity.total == pb.ActivityCounts()
    assert activity.step.seconds == HOUR
    assert len(activity.points) in (24, 25)
    assert activity.points[0].time == activity.start_time
    assert not activity.answer_times.HasField("p50")


async def test_what_waits_is_counted_by_kind_priority_and_age(world: ServiceWorld) -> None:
    first = await ask(world, title="first", priority=5)
    await ask(world, kind="clarify")
    await ask(world, kind="clarify")
    closed = await ask(world)
    await world.hitl.AnswerPrompt(answer(closed))
    found = await overview(world)
    assert found.waiting.total == 3
    assert {each.kind: each.total for each in found.waiting.by_kind} == {"clarify": 2, first.content.kind: 1}
    assert [(each.priority, each.total) for each in found.waiting.by_priority] == [(5, 1), (0, 2)]
    assert found.waiting.by_age[0] == 3
    assert found.oldest[0].prompt_id == first.prompt_id
    assert (found.oldest[0].title, found.oldest[0].priority) == ("first", 5)
    assert found.oldest[0].create_time == first.create_time
    assert len(found.oldest) == 3


async def test_what_happened_is_counted_after_a_sweep(world: ServiceWorld) -> None:
    prompt = await ask(world, job_type="mail")
    await world.hitl.AnswerPrompt(answer(prompt))
    await world.jobs.CreateJob(pb.CreateJobRequest(job_type="slow"))
    assert (await overview(world)).activity.total == pb.ActivityCounts()
    await world.service.replica.sweep.sweep()
    for span in (HOUR, DAY, 30 * DAY):
        activity = (await overview(world, window=seconds(span))).activity
        want = pb.ActivityCounts(jobs_created=2, jobs_completed=1, prompts_asked=1, prompts_answered=1)
        assert activity.total == want
        assert sum(point.counts.jobs_created for point in activity.points) == 2
        assert activity.answer_times.count == 1
        assert (
            timedelta(0) < activity.answer_times.p50.ToTimedelta() <= activity.answer_times.p99.ToTimedelta()
        )
        assert activity.counted_time.ToDatetime() >= prompt.create_time.ToDatetime()
        by_type = {(each.job_type, each.kind): each.counts for each in activity.by_type}
        assert by_type["slow", ""] == pb.ActivityCounts(jobs_created=1)
        assert by_type["mail", prompt.content.kind].prompts_answered == 1
    assert activity.step.seconds == 12 * HOUR
    assert len(activity.points) in (60, 61)


async def test_consoles_and_workers_are_counted_at_all_replicas(pg_url: str) -> None:
    """Equal views of one person count once: ann has two."""
    async with serving(pg_url) as here, serving(pg_url, replica="r2") as there:
        streams: list[Any] = [here.console(here.as_user(user)) for user in ("ann", "ann", "bob")]
        streams.append(there.console(there.as_user("cy")))
        for console in streams:
            await console.hello()
        streams.append(there.worker())
        await streams[-1].hello("t")

        async def counted() -> bool:
            found = [(await overview(each)).streams for each in (here, there)]
            return all((s.consoles, s.people, s.workers) == (3, 3, 1) for s in found)

        await until(counted)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("span", [-1, HOUR - 1, 30 * DAY + 1])
async def test_a_window_outside_the_bounds_is_refused(shared_lite: ServiceWorld, span: int) -> None:
    found = await expect_refusal(
        overview(shared_lite, window=seconds(span)), "INVALID_ARGUMENT", "INVALID_FIELD"
    )
    assert set(found.violations) == {"window"}


async def test_a_console_sees_its_own_prompts_and_no_figures_of_the_namespace(
    world_with_tokens: ServiceWorld,
) -> None:
    world = world_with_tokens
    client = person(world, "client")
    law = await ask(client, title="for law", audience=audience(groups=["law"]))
    await ask(client, kind="secret", audience=audience("admin"), priority=7)
    free = await ask(client)
    await world.service.replica.sweep.sweep()
    want = {"console": [law, free], "eve": [free]}
    for name, seen in want.items():
        found = await overview(person(world, name))
        assert [each.prompt_id for each in found.oldest] == [each.prompt_id for each in seen], name
        assert found.waiting.total == sum(found.waiting.by_age) == len(seen)
        assert "secret" not in str(found)
        assert [each.priority for each in found.waiting.by_priority] == [0]
        assert not found.HasField("streams")
        assert not found.HasField("activity")
    for name in ("client", "admin", "roving"):
        found = await overview(person(world, name))
        assert (found.waiting.total, len(found.oldest)) == (3, 3), name
        assert found.activity.total.prompts_asked == 3


async def test_figures_are_of_one_namespace(world_with_tokens: ServiceWorld) -> None:
    roving, other = person(world_with_tokens, "roving"), person(world_with_tokens, "other")
    await ask(roving)
    await world_with_tokens.console(person(world_with_tokens, "console")).hello()
    await world_with_tokens.service.replica.sweep.sweep()
    for caller, fields in ((other, {}), (roving, {"namespace": "elsewhere"})):
        found = await overview(caller, **fields)
        assert (found.waiting.total, found.streams.people) == (0, 0)
        assert found.activity.total == pb.ActivityCounts()
    mine = await overview(roving)
    assert (mine.waiting.total, mine.streams.people, mine.activity.total.jobs_created) == (1, 1, 1)
    refused = overview(other, namespace="default")
    await expect_refusal(refused, "PERMISSION_DENIED", "PERMISSION_DENIED", needs="namespace default")
    await expect_refusal(
        overview(person(world_with_tokens, "worker")), "PERMISSION_DENIED", "PERMISSION_DENIED"
    )


async def test_the_figures_say_when_there_is_more(lite: ServiceWorld) -> None:
    overviews = lite.service.replica.overviews
    overviews._limits = dataclasses.replace(overviews._limits, overview_prompts=2)
    first, second = await ask(lite), await ask(lite)
    assert not (await overview(lite)).waiting.partial
    await ask(lite)
    found = await overview(lite)
    assert (found.waiting.total, found.waiting.partial) == (2, True)
    assert [each.prompt_id for each in found.oldest] == [first.prompt_id, second.prompt_id]
