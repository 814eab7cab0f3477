"""The watches as server-sent events."""

from __future__ import annotations

import asyncio

import pytest

from askback.v1 import job_service_pb2 as jobs
from askback.web.settings import WebLimits
from tests.support.requests import confirm
from tests.support.service import ServiceWorld
from tests.support.waiting import until
from tests.support.web import EventReader, WebWorld, gateway_for


async def prompt_event(reader: EventReader, name: str) -> tuple[str, dict[str, object]]:
    """The id of the message with the next prompt event of this kind, and the event."""
    while True:
        position, data = await reader.event()
        for event in data["events"]:
            if name in event:
                return position, event[name]


async def test_prompts_come_live_and_a_reader_continues_where_it_was(
    web: WebWorld, lite: ServiceWorld
) -> None:
    async with web.events("/events/prompts") as reader:
        assert "content-type: text/event-stream" in reader.head
        assert "cache-control: no-store" in reader.head
        assert "x-accel-buffering: no" in reader.head
        assert "retry" in await reader.block()
        position, _ = await prompt_event(reader, "caughtUp")
        assert position
    missed = await lite.create_prompt(confirm("Missed?"))
    await lite.catch_up()
    async with web.events("/events/prompts", last_event_id=position) as reader:
        _, event = await reader.event()
        assert [e["upserted"]["prompt"]["promptId"] for e in event["events"] if "upserted" in e] == [
            missed.prompt_id
        ]


async def test_the_query_is_the_filter(web: WebWorld, lite: ServiceWorld) -> None:
    await lite.create_prompt(job_type="a")
    wanted = {(await lite.create_prompt(job_type=name)).prompt_id for name in ("b", "c")}
    async with web.events("/events/prompts?jobTypes=b&jobTypes=c") as reader:
        found = set()
        while len(found) < 2:
            _, data = await reader.event()
            found |= {e["upserted"]["prompt"]["promptId"] for e in data["events"] if "upserted" in e}
    assert found == wanted


async def test_labels_narrow_the_watches(web: WebWorld, lite: ServiceWorld) -> None:
    """NAME=VALUE as on the command line: one NAME with several values means any of them. A value may have the
    sign, and is not one with more around it."""
    for team, env in (("a", "x=1"), ("b", "x=1"), ("c", "x=1"), ("a", "x=12"), ("a", "")):
        await lite.create_prompt(confirm(f"{team} {env}", labels={"team": team, "env": env}))

    async def titles(query: str) -> list[str]:
        found = []
        async with web.events(f"/events/prompts?{query}") as reader:
            while True:
                _, data = await reader.event()
                found += [
                    e["upserted"]["prompt"]["content"]["title"] for e in data["events"] if "upserted" in e
                ]
                if any("caughtUp" in event for event in data["events"]):
                    return found

    assert await titles("labels=team=a&labels=env=x%3D1") == ["a x=1"]
    assert await titles("labels=team=a&labels=team=b&labels=env=x=1") == ["a x=1", "b x=1"]
    assert await titles("labels=env=") == ["a "]
    assert await titles("labels=none=a") == []
    wanted = (await lite.create("t", labels={"team": "a"})).job_id
    await lite.create("t", labels={"team": "b"})
    async with web.events(
        "/events/jobs?jobTypes=t&labels=team=a&createdAfter=2020-01-01T00:00:00Z"
    ) as reader:
        seen = []
        while True:
            _, data = await reader.event()
            seen += [job["jobId"] for job in data.get("jobs", [])]
            if data.get("caughtUp"):
                break
    assert seen == [wanted]


async def test_jobs_come_with_resume_tokens(web: WebWorld, lite: ServiceWorld) -> None:
    async with web.events("/events/jobs") as reader:
        while not (await reader.event())[1].get("caughtUp"):
            pass
        job = await lite.create()
        position, data = await reader.event()
        while "jobs" not in data:
            position, data = await reader.event()
        assert data["jobs"][0]["jobId"] == job.job_id
        while not position:
            position, _ = await reader.event()


async def test_a_job_is_followed_from_an_event_on(web: WebWorld, lite: ServiceWorld) -> None:
    job = await lite.create()
    async with web.events(f"/events/jobs/{job.job_id}") as reader:
        position, data = await reader.event()
        assert [event["seq"] for event in data["events"]] == ["1"]
        assert position == "1"
    await lite.lease()
    async with web.events(f"/events/jobs/{job.job_id}", last_event_id="1") as reader:
        assert (await reader.event())[0] == "2"


async def test_a_reader_of_an_ended_job_is_told_not_to_come_back(web: WebWorld, lite: ServiceWorld) -> None:
    """An EventSource reconnects after each end of a stream: 204 is how it learns that there is no more."""
    job = await lite.create()
    await lite.jobs.CancelJob(jobs.CancelJobRequest(job_id=job.job_id))
    position = ""
    async with web.events(f"/events/jobs/{job.job_id}") as reader:
        while not reader.ended:
            position = (await reader.block()).get("id", position)
    path = f"/events/jobs/{job.job_id}"
    for _ in range(2):
        reply = await web.request("GET", path, askback_user="ana", last_event_id=position)
        assert (reply.status, reply.body) == (204, b"")
    before = str(int(position) - 1)
    async with web.events(path, last_event_id=before) as reader:
        assert (await reader.event())[0] == position
    await until(lambda: not len(web.gateway.streams))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("path", "headers", "status", "reason"),
    [
        ("/events/prompts?jobType=a", {}, 400, "QUERY"),
        ("/events/prompts?states=x", {}, 400, "QUERY"),
        ("/events/prompts?labels=team", {}, 400, "QUERY"),
        ("/events/prompts?labels==a", {}, 400, "QUERY"),
        ("/events/jobs?createdAfter=yesterday", {}, 400, "QUERY"),
        ("/events/jobs/x?jobTypes=a", {}, 400, "QUERY"),
        ("/events/jobs/0190b6c8-0000-7000-8000-000000000000", {}, 404, "ERROR_REASON_JOB_NOT_FOUND"),
        ("/events/jobs/0190b6c8-0000-7000-8000-000000000000", {"last_event_id": "x"}, 400, "QUERY"),
        ("/events/prompts", {"askback_user": ""}, 401, "SIGN_IN_REQUIRED"),
    ],
)
async def test_an_error_before_the_first_event_has_its_status(
    shared_web: WebWorld, path: str, headers: dict[str, str], status: int, reason: str
) -> None:
    user = {"askback_user": "ana", **headers}
    reply = await shared_web.request("GET", path, **{key: value for key, value in user.items() if value})
    assert (reply.status, reply.reason) == (status, reason)


async def test_a_quiet_stream_has_comments_and_ends_by_itself(lite: ServiceWorld) -> None:
    limits = WebLimits(event_comment_seconds=0.05, event_stream_seconds=2.0)
    async with gateway_for(lite, limits=limits) as web, web.events("/events/prompts") as reader:
        comments = 0
        while not reader.ended:
            comments += "" in {key.strip() for key in await reader.block()}
        assert comments > 1
        await until(lambda: not len(web.gateway.streams))


async def test_a_reader_that_leaves_ends_its_watch(web: WebWorld, lite: ServiceWorld) -> None:
    server = lite.service._server
    assert server is not None
    async with web.events("/events/prompts"):
        await until(lambda: server.calls.streams.total == 1)
    await until(lambda: server.calls.streams.total == 0 and not len(web.gateway.streams))


async def test_the_end_of_the_service_is_an_error_event(web: WebWorld, lite: ServiceWorld) -> None:
    async with web.events("/events/prompts") as reader:
        await prompt_event(reader, "caughtUp")
        stopping = asyncio.create_task(lite.service.stop())
        while not reader.ended:
            await reader.block()
        await stopping
    lite.mark_stopped()


async def test_a_reader_that_does_not_read_is_disconnected(
    web: WebWorld, lite: ServiceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("askback.web.http_server.UNREAD_SECONDS", 0.5)
    large = confirm("Large?")
    large.body = "x" * 60_000
    for _ in range(150):
        await lite.create_prompt(large)
    async with web.events("/events/prompts") as reader:
        reader._reader._transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: not len(web.gateway.streams))
