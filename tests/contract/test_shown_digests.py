"""The stored digest of what is shown: from before the column, and beside a replica that does not know it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from askback_server.domain import documents
from askback_server.domain.prompts import Prompt
from askback_server.domain.shown_form import shown_digest
from askback_server.storage import rows, tables
from askback_server.storage.database import Database
from askback_server.storage.migrate import upgrade
from tests.baseline import SCHEMA_REVISION
from tests.support.aggregates import question
from tests.support.full_values import full_prompt
from tests.support.rows import creation, new_job, new_prompt, step
from tests.support.storage import execute, fetch


@pytest.fixture(autouse=True)
def _parse_contents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a read returns the content that was written, with its digest."""
    monkeypatch.setattr(documents._contents, "get", lambda text: None)


def of_version_0_1(columns: tuple[str, ...], values: tuple[Any, ...]) -> Mapping[str, Any]:
    """The values by column that a program of version 0.1 writes."""
    newer = ("shown_digest", "asked_digest", "chain", "requesters", "votes")
    return {c: v for c, v in zip(columns, values, strict=True) if c not in newer}


async def test_prompts_from_before_the_column_have_the_digest_of_their_content(db_url: str) -> None:
    await asyncio.to_thread(upgrade, db_url, SCHEMA_REVISION)
    job = new_job()
    asked = [new_prompt(job), full_prompt(job)]
    engine = create_async_engine(db_url, json_serializer=str)  # documents are texts already
    async with engine.begin() as connection:
        await connection.execute(
            sa.insert(tables.jobs).values(**of_version_0_1(rows.JOB_COLUMNS, rows.job_values(job)))
        )
        for prompt in asked:
            old = of_version_0_1(rows.PROMPT_COLUMNS, rows.prompt_values(prompt))
            await connection.execute(sa.insert(tables.prompts).values(**old))
    await engine.dispose()
    await asyncio.to_thread(upgrade, db_url)
    database = await Database.open(db_url)
    for prompt in asked:
        [found] = await database.jobs.get_prompts([prompt.prompt_id])
        assert found == replace(prompt, votes=None, asked_digest="")
        assert found.shown_digest == shown_digest(prompt.content)
    await database.close()


async def test_a_digest_is_of_the_newest_content_also_if_an_older_replica_amends(database: Database) -> None:
    job = new_job()
    prompt = new_prompt(job)
    await database.jobs.write([creation(job, prompt)])

    async def read() -> Prompt:
        [found] = await database.jobs.get_prompts([prompt.prompt_id])
        return found

    other = question("Really go on?")
    amended = replace(
        prompt, content=other, digest=other.digest, revision=2, shown_digest=shown_digest(other)
    )
    columns = (*rows.PROMPT_CHANGED_COLUMNS, *rows.PROMPT_CONTENT_COLUMNS)
    values = (*rows.prompt_change_values(amended), *rows.prompt_content_values(amended))
    by_older = sa.update(tables.prompts).where(tables.prompts.c.interaction_id == prompt.prompt_id)
    await execute(database, by_older.values(**of_version_0_1(columns, values)))
    assert await read() == amended
    # This replica amends again, and stores the digest for its revision.
    third = replace(amended, revision=3, shown_digest="ab" * 32)
    write = step(job)
    write.changed_prompts[prompt.prompt_id] = (third, True)
    assert not (await database.jobs.write([write])).lost
    assert (await read()).shown_digest == "ab" * 32
    # A step of an escalation at an older replica changes who is asked, and nothing that is shown.
    routed = replace(third, content=replace(other, priority=7))
    values = (*rows.prompt_change_values(routed), *rows.prompt_content_values(routed))
    await execute(database, by_older.values(**of_version_0_1(columns, values)))
    assert (await read()).shown_digest == "ab" * 32
    [row] = await fetch(database, sa.select(tables.prompts.c.shown_digest))
    assert row["shown_digest"] == "3:" + "ab" * 32
