"""ListJobs: pages without a gap or a duplicate, filters, tokens."""

from typing import Any

import pytest

from askback.v1 import job_service_pb2 as pb
from tests.support.refusals import expect_refusal
from tests.support.requests import CANCELLED, PENDING, seconds
from tests.support.service import ServiceWorld, serving


async def list_all(world: ServiceWorld, size: int = 0, **fields: Any) -> list[str]:
    """All ids, read page by page."""
    ids: list[str] = []
    token = ""
    while True:
        page = await world.jobs.ListJobs(pb.ListJobsRequest(page_size=size, page_token=token, **fields))
        assert len(page.jobs) <= (size or 50)
        ids += [job.job_id for job in page.jobs]
        token = page.next_page_token
        if not token:
            return ids


async def test_pages_have_no_gap_and_no_duplicate_newest_first(world: ServiceWorld) -> None:
    made = [(await world.create()).job_id for _ in range(7)]
    for size in (1, 3, 7, 0):
        assert await list_all(world, size) == sorted(made, reverse=True)
    first = await world.jobs.ListJobs(pb.ListJobsRequest(page_size=3))
    # Jobs created meanwhile are newer than the cursor and do not shift the pages.
    await world.create()
    second = await world.jobs.ListJobs(pb.ListJobsRequest(page_size=3, page_token=first.next_page_token))
    assert not {j.job_id for j in first.jobs} & {j.job_id for j in second.jobs}


async def test_filters_are_combined_by_and_and_their_values_by_or(world: ServiceWorld) -> None:
    a = await world.create("a", labels={"x": "1", "y": "2"})
    b = await world.create("b", labels={"x": "1"})
    c = await world.as_user("bob").jobs.CreateJob(pb.CreateJobRequest(job_type="c", labels={"x": "it's"}))
    await world.create("a", namespace="other")
    await world.jobs.CancelJob(pb.CancelJobRequest(job_id=b.job_id))
    ids = {"a": a.job_id, "b": b.job_id, "c": c.job.job_id}
    after = {"created_after": b.create_time}
    before = {"created_before": b.create_time}

    async def names_of_matches(**filter: Any) -> str:
        got = await list_all(world, filter=pb.JobFilter(**filter))
        return "".join(sorted(name for name, job_id in ids.items() if job_id in got))

    assert await names_of_matches() == "abc"
    assert await names_of_matches(states=[PENDING]) == "ac"
    assert await names_of_matches(states=[PENDING, CANCELLED]) == "abc"
    assert await names_of_matches(job_types=["a", "b"]) == "ab"
    assert await names_of_matches(user_ids=["bob", "nobody"]) == "c"
    assert await names_of_matches(labels={"x": "1"}) == "ab"
    assert await names_of_matches(labels={"x": "1", "y": "2"}) == "a"
    assert await names_of_matches(labels={"x": "it's"}) == "c"
    assert await names_of_matches(labels={"y": ""}) == ""
    assert await names_of_matches(**after) == "bc"
    assert await names_of_matches(**before) == "a"
    assert await names_of_matches(states=[PENDING], job_types=["b"]) == ""


async def test_a_page_token_belongs_to_its_query(world: ServiceWorld) -> None:
    for _ in range(3):
        await world.create("a")
    page = await world.jobs.ListJobs(pb.ListJobsRequest(page_size=1))
    token = page.next_page_token
    for request in (
        pb.ListJobsRequest(page_token=token, filter=pb.JobFilter(job_types=["a"])),
        pb.ListJobsRequest(page_token=token, namespace="other"),
        pb.ListJobsRequest(page_token=token[:-2] + "AA"),
        pb.ListJobsRequest(page_token="nonsense"),
        pb.ListJobsRequest(page_token="x" * 5000),
    ):
        await expect_refusal(world.jobs.ListJobs(request), "INVALID_ARGUMENT", "BAD_PAGE_TOKEN")
    # The size of the page is not part of the query.
    assert len((await world.jobs.ListJobs(pb.ListJobsRequest(page_token=token, page_size=9))).jobs) == 2


async def test_a_page_is_never_larger_than_the_limits(lite: ServiceWorld) -> None:
    for _ in range(51):
        await lite.create()
    page = await lite.jobs.ListJobs(pb.ListJobsRequest())
    assert len(page.jobs) == 50
    big = '"' + "x" * 250_000 + '"'
    for _ in range(20):
        await lite.create("big", input_json=big)
    # 5 MB of jobs: gRPC clients of all languages refuse messages of more than 4 MiB.
    page = await lite.jobs.ListJobs(pb.ListJobsRequest(filter=pb.JobFilter(job_types=["big"])))
    assert page.ByteSize() < 1024 * 1024
    assert len(await list_all(lite, filter=pb.JobFilter(job_types=["big"]))) == 20


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListJobsRequest(page_size=-1), "page_size"),
        (pb.ListJobsRequest(filter=pb.JobFilter(states=[99])), "filter.states[0]"),  # type: ignore[list-item]
        (pb.ListJobsRequest(namespace="a b"), "namespace"),
        (
            pb.ListJobsRequest(filter=pb.JobFilter(created_after={"seconds": 10**15})),  # type: ignore[arg-type]
            "filter.created_after",
        ),
    ],
)
async def test_a_wrong_filter_is_named(
    shared_lite: ServiceWorld, request_: pb.ListJobsRequest, field: str
) -> None:
    found = await expect_refusal(shared_lite.jobs.ListJobs(request_), "INVALID_ARGUMENT", "INVALID_FIELD")
    assert set(found.violations) == {field}
    watch = pb.WatchJobsRequest(namespace=request_.namespace, filter=request_.filter)
    if field != "page_size":
        await expect_refusal(shared_lite.jobs.WatchJobs(watch).read(), "INVALID_ARGUMENT", "INVALID_FIELD")


async def test_texts_that_cannot_be_stored_are_refused_or_match_nothing(world: ServiceWorld) -> None:
    for filter in (
        pb.JobFilter(job_types=["a\0"]),
        pb.JobFilter(user_ids=["a\0"]),
        pb.JobFilter(labels={"a\0": "b"}),
        pb.JobFilter(labels={"a": "\0"}),
    ):
        await expect_refusal(
            world.jobs.ListJobs(pb.ListJobsRequest(filter=filter)), "INVALID_ARGUMENT", "INVALID_FIELD"
        )


async def test_retention_deletes_jobs_that_ended_long_ago(lite_url: str) -> None:
    async with serving(lite_url, sweep_interval=0.1) as world:
        job = await world.create(retention=seconds(0.001))
        kept = await world.create()
        for job_id in (job.job_id, kept.job_id):
            await world.jobs.CancelJob(pb.CancelJobRequest(job_id=job_id))
        found = [kept.job_id, job.job_id]
        while len(found) == 2:
            found = await list_all(world)
        assert found == [kept.job_id]
