"""Statement texts do not depend on the input: a list of any length is one parameter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.domain.jobs import JobState
from askback_server.domain.principals import Principal
from askback_server.domain.prompts import PromptState
from askback_server.ports.queries import JobFilter, PromptFilter
from askback_server.ports.storage import Wanted
from askback_server.storage import postgres_lookups, sqlite_lookups
from askback_server.storage.database import Database
from tests.support.rows import creation, new_job, new_prompt

pytestmark = pytest.mark.usefixtures("own_connections")

SIZES = (1, 2, 64, 65, 700)
ABSENT_ID = "00000000-0000-7000-8000-{:012d}"


@contextmanager
def texts_of(database: Database) -> Iterator[set[str]]:
    """Collect the texts of all statements that run in this context."""
    found: set[str] = set()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.add(statement)

    dialect: Any = database.queue._dialect

    def noting(run: Any) -> Any:
        async def run_and_note(statement: Any, values: Any) -> Any:
            rows = await run(statement, values)
            compiled: Any = postgres_lookups if dialect.name == "postgresql" else sqlite_lookups
            found.add(compiled.compile_lookup(statement)[0])
            return rows

        return run_and_note

    dialect.look_up, dialect.read_list = noting(dialect.look_up), noting(dialect.read_list)
    engines = [dialect.reads.sync_engine]
    engines.append(
        dialect._pools.sessions.sync_engine if dialect.name == "postgresql" else dialect._writer.engine
    )
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        del dialect.look_up, dialect.read_list
        for engine in engines:
            sa.event.remove(engine, "before_cursor_execute", note)


async def read_everything(database: Database, size: int) -> None:
    """Run each statement that takes a list, with lists of this size."""
    ids = [ABSENT_ID.format(n) for n in range(size)]
    names = [f"n{n}" for n in range(size)]
    labels = dict.fromkeys(names, "v")
    jobs = JobFilter(
        namespace="default",
        states=tuple(JobState) * size,
        job_types=tuple(names),
        user_ids=tuple(names),
        labels=labels,
        id_suffix=ABSENT_ID.format(size)[-7 - size % 20 :],
    )
    await database.jobs.list_jobs(jobs, 10, None, 1000)
    viewer = Principal("eve", groups=frozenset(names))
    prompts = PromptFilter(
        namespace="default",
        viewer=viewer,
        job_types=tuple(names),
        kinds=tuple(names),
        labels=labels,
        groups=tuple(names),
        states=(PromptState.ANSWERED,) * size,
    )
    await database.jobs.list_prompts(prompts, 10, None, 1000)
    await database.jobs.get_jobs(ids)
    await database.jobs.get_prompts(ids)
    await database.jobs.load(
        [
            Wanted(job_id=i, keys={n}, prompt_ids={i}, submissions={(i, n)})
            for i, n in zip(ids, names, strict=True)
        ]
    )
    await database.jobs.load([Wanted(request=("default", n)) for n in names])
    # Equal limits here; different ones are rounded up to a few values.
    await database.queue.claimable({("default", n): 8 for n in names})
    await database.queue.list_queues(dict.fromkeys(names, ""), 512 // size or 1)
    await database.feed.of_jobs(dict.fromkeys(ids, 1))
    await database.presence.views(ids)
    await database.sessions.epochs(ids)
    await database.sessions.beat([(i, 1) for i in ids], 10)


async def test_statement_texts_do_not_depend_on_the_length_of_lists(database: Database) -> None:
    seen = []
    for size in SIZES:
        with texts_of(database) as texts:
            await read_everything(database, size)
        seen.append(texts)
    assert len(seen[0]) > 9
    for size, texts in zip(SIZES, seen, strict=True):
        assert texts == seen[0], f"{size}: {[t[:300] for t in texts - seen[0]]}"


async def test_different_limits_share_one_statement_text(database: Database) -> None:
    with texts_of(database) as texts:
        await database.queue.claimable({("default", f"n{n}"): n for n in range(1, 200)})
    assert len(texts) == 1


async def test_label_filters_match_all_labels_with_any_names(database: Database) -> None:
    odd = {'a"b': "1", "c\\d": "2", "$.e": "ü", "": "none"} | {f"k{n}": str(n) for n in range(20)}
    asked = new_job(labels=odd)
    prompt = new_prompt(asked)
    await database.jobs.write([creation(asked, prompt), creation(new_job(labels={'a"b': "1"}))])

    async def found(**labels: str) -> int:
        page = await database.jobs.list_jobs(JobFilter(namespace="default", labels=labels), 10, None, 1000)
        return len(page.jobs)

    assert await found(**odd) == 1
    assert await found(**{'a"b': "1"}) == 2
    assert await found(**{'a"b': "2"}) == 0
    assert await found(**(odd | {"k3": "4"})) == 0
    assert await found(**(odd | {"missing": ""})) == 0
    assert await found() == 2


async def test_load_by_request_matches_namespace_and_request_id_as_pairs(database: Database) -> None:
    """A request id of another namespace is not found."""
    one, two = new_job(request_id="r1"), new_job(request_id="r2", namespace="other")
    await database.jobs.write([creation(one, new_prompt(one)), creation(two)])
    wanted = [
        Wanted(request=("default", "r2")),
        Wanted(request=("other", "r2")),
        Wanted(request=("other", "r1")),
    ]
    assert [a.job.job_id if a.job else None for a in await database.jobs.load(wanted)] == [
        None,
        two.job_id,
        None,
    ]
    page = await database.jobs.list_jobs(
        JobFilter(namespace="other", states=(JobState.RUNNING,)), 9, None, 99
    )
    assert not page.jobs
