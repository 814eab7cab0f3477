"""Lists of jobs: filters, pages without gaps or repeats, size limits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from askback_server.domain.jobs import Failure, Job, JobState
from askback_server.ports.clock import uuid7
from askback_server.ports.queries import JobFilter
from askback_server.storage.database import Database
from tests.support.lists import BIG, job_pages, put
from tests.support.rows import new_job, now


async def test_each_filter_finds_the_matching_jobs(database: Database) -> None:
    at = now()
    jobs = [
        new_job(
            job_type=f"t{i % 3}",
            user_id=f"u{i % 2}",
            state=list(JobState)[i % 6],
            created_at=at + timedelta(minutes=i),
            labels={"mod": str(i % 4), "all": "x"},
        )
        for i in range(24)
    ]
    await put(database, *jobs, new_job(namespace="other", labels={"all": "x"}))
    middle = at + timedelta(minutes=12)
    cases: list[tuple[dict[str, Any], Callable[[Job], bool]]] = [
        ({}, lambda j: True),
        ({"states": (JobState.PENDING,)}, lambda j: j.state is JobState.PENDING),
        (
            {"states": (JobState.FAILED, JobState.RUNNING)},
            lambda j: j.state in (JobState.FAILED, JobState.RUNNING),
        ),
        ({"job_types": ("t1", "t2")}, lambda j: j.job_type != "t0"),
        ({"user_ids": ("u1",)}, lambda j: j.user_id == "u1"),
        ({"labels": {"mod": "3"}}, lambda j: j.labels["mod"] == "3"),
        ({"labels": {"mod": "3", "all": "x"}}, lambda j: j.labels["mod"] == "3"),
        ({"labels": {"mod": "3", "none": "x"}}, lambda j: False),
        ({"labels": {"none": ""}}, lambda j: False),
        ({"created_after": middle}, lambda j: j.created_at >= middle),
        ({"created_before": middle}, lambda j: j.created_at < middle),
        ({"id_suffix": jobs[3].job_id[-6:]}, lambda j: j is jobs[3]),
        ({"id_suffix": jobs[4].job_id[-14:]}, lambda j: j is jobs[4]),
        ({"id_suffix": jobs[5].job_id}, lambda j: j is jobs[5]),
        ({"id_suffix": jobs[6].job_id[-6:], "job_types": ("none",)}, lambda j: False),
        (
            {"job_types": ("t1",), "user_ids": ("u0",), "states": (JobState.FAILED,)},
            lambda j: j.job_type == "t1" and j.user_id == "u0" and j.state is JobState.FAILED,
        ),
    ]
    for given, wanted in cases:
        filter = JobFilter("default", **given)
        expected = sorted((j.job_id for j in jobs if wanted(j)), reverse=True)
        assert await job_pages(database, filter, 100) == [expected], given
        # The filter in memory must agree with the database, except for states.
        if "states" not in given:
            assert [j.job_id for j in jobs if filter.matches(j)] == [j.job_id for j in jobs if wanted(j)]
    assert await job_pages(database, JobFilter("nowhere"), 5) == [[]]


def ending(job_id: str, end: str) -> str:
    """Replace the end of an id."""
    return job_id[: -len(end)] + end


async def test_a_longer_id_suffix_distinguishes_ids_that_end_alike(database: Database) -> None:
    ids = [ending(uuid7(), end) for end in ("1abcdef", "2abcdef", "2abcde0")]
    here = [new_job(job_id=i) for i in ids]
    await put(database, *here, new_job(job_id=ending(uuid7(), "abcdef"), namespace="other"))
    for suffix, wanted in (
        ("abcdef", ids[:2]),
        ("2abcdef", ids[1:2]),
        (ids[0][8:], ids[:1]),
        ("9abcdef", []),
    ):
        filter = JobFilter("default", id_suffix=suffix)
        assert await job_pages(database, filter, 10) == [sorted(wanted, reverse=True)], suffix
        assert await database.jobs.count_jobs(filter) == len(wanted)


async def test_pages_of_jobs_have_no_gaps_and_no_repeats(database: Database) -> None:
    ids = await put(database, *(new_job() for _ in range(23)))
    for limit in (1, 5, 22, 23, 24):
        pages = await job_pages(database, JobFilter("default"), limit)
        assert [i for page in pages for i in page] == ids
        assert all(len(page) == limit for page in pages[:-1])
        assert pages[-1]


async def test_new_jobs_do_not_shift_the_pages(database: Database) -> None:
    ids = await put(database, *(new_job() for _ in range(12)))
    seen: list[str] = []
    after = None
    while True:
        page = await database.jobs.list_jobs(JobFilter("default"), 5, after, BIG)
        seen += [job.job_id for job in page.jobs]
        after = page.next
        if after is None:
            break
        await put(database, new_job(), new_job())
    assert seen == ids


async def test_a_page_of_jobs_is_bounded_by_bytes_but_never_empty(database: Database) -> None:
    large = {
        "input": new_job(input_json='"' + "ü" * 5_000 + '"'),
        "result": new_job(result_json='"' + "x" * 10_000 + '"'),
        "failure": new_job(failure=Failure("E", "x" * 10_000)),
    }
    ids = await put(database, *large.values())
    assert await job_pages(database, JobFilter("default"), 10, 40_000) == [ids]
    assert await job_pages(database, JobFilter("default"), 10, 15_000) == [[i] for i in ids]
    assert await job_pages(database, JobFilter("default"), 10, 1) == [[i] for i in ids]
