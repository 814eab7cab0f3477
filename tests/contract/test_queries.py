"""Queries of jobs and prompts alike: labels, the bytes read for a page, ids that do not exist."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from askback_server.domain.commands import PromptRef
from askback_server.domain.content import PromptContent
from askback_server.ports.clock import uuid7
from askback_server.ports.queries import JobFilter, PromptFilter
from askback_server.storage.database import Database
from tests.support.aggregates import ADMIN
from tests.support.lists import job_pages, prompt_pages, put
from tests.support.rows import creation, new_job, new_prompt, submission

NO_ID = "00000000-0000-7000-8000-000000000000"


async def test_labels_with_special_characters_are_found(database: Database) -> None:
    labels = {'a"b': "1", "a\\b": "2", "a.b": "3", "ü 🦊": "4", "$x[0]": "5", "": "6", "q": 'v"\\ü', "7": "n"}
    [job_id] = await put(database, job := new_job(labels=labels))
    await put(database, new_job(labels={"q": "other"}))
    prompt = new_prompt(job, PromptContent("confirm", "?", labels=labels))
    await database.jobs.write([creation(new_job(), replace(prompt, job_id=job_id))])
    for key, value in labels.items():
        assert await job_pages(database, JobFilter("default", labels={key: value}), 5) == [[job_id]], key
        assert await job_pages(database, JobFilter("default", labels={key: value + "x"}), 5) == [[]], key


async def test_any_labels_matches_one_of_several_values_per_label(database: Database) -> None:
    """Values of one label are alternatives; all labels must match, and `labels` too."""
    spelt: dict[str, dict[str, str]] = {
        "a": {"set": "odd", "stage": "p"},
        "b": {"set": "long", "stage": "p"},
        "c": {"set": "even", "stage": "q"},
        "d": {"stage": "p"},
        "e": {'s"\\t': "ü", "set": "odd "},
    }
    jobs = {name: new_job(labels=labels) for name, labels in spelt.items()}
    names = {}
    for name, job in jobs.items():
        prompt = new_prompt(job, PromptContent("confirm", "?", labels=spelt[name]))
        await database.jobs.write([creation(job, prompt)])
        names |= {job.job_id: name, prompt.prompt_id: name}
    for labels, any_labels, expected in (
        ({}, {"set": ("odd", "long")}, "ab"),
        ({}, {"set": ("odd", "long"), "stage": ("p",)}, "ab"),
        ({"stage": "p"}, {"set": ("even", "long")}, "b"),
        ({"stage": "p"}, {"stage": ("p", "q")}, "abd"),
        ({}, {"stage": ("q", "p")}, "abcd"),
        ({}, {"set": ()}, ""),
        ({}, {'s"\\t': ("u", "ü")}, "e"),
        ({}, {"missing": ("", "x")}, ""),
        ({}, {f"k{n}": ("x",) for n in range(20)}, ""),
    ):
        given: dict[str, Any] = {"labels": labels, "any_labels": any_labels}
        [found] = await job_pages(database, JobFilter("default", **given), 9)
        assert "".join(sorted(names[i] for i in found)) == expected, given
        [seen] = await prompt_pages(database, PromptFilter("default", viewer=ADMIN, **given), 9)
        assert "".join(sorted(names[i] for i in seen)) == expected, given
        # The filter in memory, used for live events, follows the same rule.
        matching = JobFilter("default", **given)
        assert "".join(n for n, job in jobs.items() if matching.matches(job)) == expected, given


async def test_lookups_of_absent_ids_find_nothing(database: Database) -> None:
    ref = PromptRef(prompt_id=uuid7())
    assert await database.jobs.find_prompt(ref) is None
    assert await database.jobs.find_prompt(PromptRef(job_id=uuid7(), key="k")) is None
    assert await database.jobs.get_jobs([]) == []
    assert await database.jobs.get_jobs([uuid7()]) == []
    assert await database.jobs.get_prompts([]) == []
    assert await database.jobs.list_submissions(uuid7(), 5, 0) == []
    assert await database.jobs.list_checkpoints(uuid7(), 5, "") == []
    assert await database.jobs.list_events(uuid7(), 0, 5) == []


async def test_submissions_are_paged_by_sequence_number(database: Database) -> None:
    job = new_job()
    prompt = new_prompt(job)
    kept = [submission(prompt, f"a{9 - i}", seq=i) for i in range(1, 8)]
    await database.jobs.write([creation(job, prompt, submissions=list(reversed(kept)))])
    assert await database.jobs.list_submissions(prompt.prompt_id, 3, 0) == kept[:3]
    assert await database.jobs.list_submissions(prompt.prompt_id, 3, 3) == kept[3:6]
    assert await database.jobs.list_submissions(prompt.prompt_id, 3, 6) == kept[6:]


async def test_a_page_reads_no_more_bytes_than_its_limit(database: Database) -> None:
    """Otherwise a small page could read 500 large prompts: hundreds of megabytes."""
    text = '"' + "x" * 50_000 + '"'
    jobs = [new_job(input_json=text) for _ in range(12)]
    prompts = [new_prompt(job, PromptContent("confirm", "?", body=text)) for job in jobs]
    await database.jobs.write([creation(job, p) for job, p in zip(jobs, prompts, strict=True)])
    store: Any = database.jobs
    own, maximum = store._read, 0

    async def read(*args: Any) -> Any:
        nonlocal maximum
        found = await own(*args)
        maximum = max(maximum, sum(len(str(value)) for row in found for value in row.values()))
        return found

    store._read = read
    ids = [p.prompt_id for p in prompts]
    for size in (120_000, 1):
        fit = max(1, size // 50_000)
        assert len((await store.list_jobs(JobFilter("default"), 500, None, size)).jobs) == fit
        assert len((await store.list_prompts(PromptFilter("default"), 500, None, size)).prompts) == fit
        found, count = await store.first_prompts([NO_ID, *ids], size)
        assert {p.prompt_id for p in found} == set(ids[: count - 1])
        assert len((await store.first_jobs([job.job_id for job in jobs], size))[0]) == fit
        assert maximum < max(size, 50_000) + 10_000
        maximum = 0
    assert await store.first_prompts([NO_ID] * 3, 10**6) == ([], 3)
