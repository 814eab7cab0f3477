"""Counts of open prompts: by age, kind and priority, of a namespace and of a console's own view."""

from __future__ import annotations

from datetime import timedelta

import pytest

from askback_server.domain.content import Audience
from askback_server.domain.overview import AGES, Waiting, sum_waiting
from askback_server.domain.principals import Principal
from askback_server.storage.database import Database
from tests.support.aggregates import ANN, BOB, question
from tests.support.rows import as_closed, creation, new_job, new_prompt

ALL = 1_000
LAW = Audience(groups=frozenset({"law"}))
FOR_BOB = Audience(users=frozenset({"bob"}))


async def ask(database: Database, age: float = 1, closed: bool = False, **content: object) -> str:
    """An open prompt of some seconds ago. Returns its id."""
    job = new_job()
    asked = await database.ping() - timedelta(seconds=age)
    prompt = new_prompt(job, question(**content), created_at=asked)  # type: ignore[arg-type]
    if closed:
        prompt = as_closed(prompt)
    assert not (await database.jobs.write([creation(job, prompt)])).lost
    return prompt.prompt_id


async def waiting(database: Database, viewer: Principal | None = None, maximum: int = ALL) -> Waiting:
    return sum_waiting(*await database.overview.waiting("default", viewer, maximum))


async def test_each_open_prompt_is_in_one_age_class(database: Database) -> None:
    for age in AGES:
        await ask(database, age - 20, kind="young")
        await ask(database, age + 20, kind="old", priority=3)
    await ask(database, 10, closed=True)
    found = await waiting(database)
    assert found.all.by_age == [1, 2, 2, 2, 2, 1]
    assert found.by_kind["young"].by_age == [1, 1, 1, 1, 1, 0]
    assert found.by_priority[3].by_age == [0, 1, 1, 1, 1, 1]
    assert not found.partial


@pytest.mark.parametrize(("viewer", "mine"), [(None, (0, 1, 2, 3)), (ANN, (0, 1, 3)), (BOB, (0, 2, 3))])
async def test_a_viewer_counts_what_its_view_shows(
    database: Database, viewer: Principal | None, mine: tuple[int, ...]
) -> None:
    ids = [
        await ask(database, 400),
        await ask(database, 300, audience=LAW),
        await ask(database, 200, audience=FOR_BOB),
        await ask(database, 100),
    ]
    assert (await waiting(database, viewer)).all.total == len(mine)
    assert await database.overview.oldest("default", viewer, ALL, 10) == [ids[at] for at in mine]
    assert await database.overview.oldest("default", viewer, ALL, 2) == [ids[at] for at in mine[:2]]


async def test_the_oldest_are_counted_if_there_are_too_many(database: Database) -> None:
    for age, kind in ((5_000, "a"), (4_000, "a"), (1, "b")):
        await ask(database, age, kind=kind)
    assert list((await waiting(database, maximum=2)).by_kind) == ["a"]
    assert (await waiting(database, maximum=2)).partial
    assert not (await waiting(database, maximum=3)).partial
    hidden = await ask(database, 6_000, audience=FOR_BOB)
    seen = await waiting(database, ANN, maximum=2)
    assert (seen.all.total, seen.partial) == (1, True)
    assert hidden not in await database.overview.oldest("default", ANN, 2, 10)


async def test_another_namespace_is_not_counted(database: Database) -> None:
    await ask(database)
    assert await database.overview.waiting("other", None, ALL) == ([], False)
    assert await database.overview.oldest("other", None, ALL, 10) == []
    await database.sessions.open("default", "w", "wanda", "here", 60.0)
    await database.sessions.open("default", "w", "wanda", "here", -60.0)
    assert await database.overview.count_workers("default") == 1
    assert await database.overview.count_workers("other") == 0
