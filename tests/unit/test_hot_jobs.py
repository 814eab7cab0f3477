"""The cache of hot jobs is bounded in bytes, whichever field is large."""

from dataclasses import replace
from typing import Any

import pytest

from askback_server.domain.aggregate import Aggregate
from askback_server.domain.content import PromptContent
from askback_server.domain.forms import SchemaForm
from askback_server.domain.jobs import DeepUnderstanding
from askback_server.engine.hot_jobs import HotJobs
from tests.support.rows import new_job, new_prompt

LARGE = "x" * 100_000
MOST = 1_000_000
"""Room for four of these texts, each of which counts twice."""


def job(**fields: Any) -> Aggregate:
    return Aggregate(new_job(**fields))


def aggregate_with_prompt(**fields: Any) -> Aggregate:
    made = new_job(open_prompts=1, rounds=1)
    prompt = new_prompt(made, PromptContent(kind="confirm", title="?", **fields))
    return Aggregate(made, {prompt.prompt_id: prompt})


LARGE_ONES = {
    "input": lambda: job(input_json=LARGE),
    "result": lambda: job(result_json=LARGE),
    "body": lambda: aggregate_with_prompt(body=LARGE),
    "metadata": lambda: aggregate_with_prompt(metadata_json=LARGE),
    "schema": lambda: aggregate_with_prompt(form=SchemaForm(LARGE)),
    "understanding": lambda: replace(job(), understanding=DeepUnderstanding("j", answers_json=LARGE)),
}


@pytest.mark.parametrize("what", LARGE_ONES)
def test_large_jobs_evict_the_least_recently_used(what: str) -> None:
    hot = HotJobs(lambda: 0.0, max_bytes=MOST)
    kept = [LARGE_ONES[what]() for _ in range(6)]
    for aggregate in kept:
        hot.put(aggregate)
    assert len(hot) == 4
    known = [hot.peek(a.job.job_id) is not None for a in kept if a.job is not None]
    assert known == [False, False, True, True, True, True]
    assert 8 * len(LARGE) <= hot.bytes <= MOST


def test_replaced_and_dropped_jobs_no_longer_count() -> None:
    hot = HotJobs(lambda: 0.0, max_bytes=MOST)
    first = job(input_json=LARGE)
    assert first.job is not None
    for version in range(1, 20):
        hot.put(replace(first, job=replace(first.job, version=version)))
    assert len(hot) == 1
    assert hot.bytes < 3 * len(LARGE)
    hot.drop(first.job.job_id)
    assert (len(hot), hot.bytes) == (0, 0)


def test_a_job_larger_than_the_cache_is_not_kept() -> None:
    hot = HotJobs(lambda: 0.0, max_bytes=MOST)
    hot.put(job(input_json="x" * MOST))
    assert (len(hot), hot.bytes) == (0, 0)
