"""Many deadlines in one second: few run at once, and their jobs are read before."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from askback_server.engine import engine as engine_module
from askback_server.engine import timers as timers_module
from askback_server.engine.timers import Timers
from askback_server.storage import tables
from tests.contract.test_timers import TENTH, are_closed, running_timers
from tests.support.aggregates import question
from tests.support.storage import LONG, Node, execute
from tests.support.waiting import until


async def test_few_timers_run_at_once(here: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of deadlines in one second must not fill the queue of commands, which users share."""
    monkeypatch.setattr(timers_module, "MAX_RUNNING", 3)
    prompts = [(await here.waiting(question(timeout=TENTH)))[1] for _ in range(20)]
    own, running, most = here.engine.execute, 0, 0

    async def execute(command: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await own(command)
        finally:
            running -= 1

    here.engine.execute = execute  # type: ignore[method-assign]
    last = prompts[-1].expires_at
    assert last is not None
    await until(lambda: here.clock.now() > last, "all are due")
    async with running_timers(here):
        await until(are_closed(here, prompts), "all are closed")
    assert most == 3


async def test_jobs_are_read_before_their_deadlines(here: Node) -> None:
    """Not those that are due already, which fire at once, and none that are due later."""
    soon, later, past = [
        (await here.waiting(question(timeout=timeout)))[0].job_id
        for timeout in (timers_module.LOOKAHEAD, LONG, LONG)
    ]
    moved = sa.update(tables.prompts).where(tables.prompts.c.job_id == past)
    await execute(here.database, moved.values(timeout_at=here.clock.now() - LONG))
    for job_id in (soon, later, past):
        here.engine.hot.drop(job_id)
    timers = Timers(here.engine, here.database.queue, here.clock)
    await timers.load()
    assert [here.engine.hot.peek(job_id) is not None for job_id in (soon, later, past)] == [
        True,
        False,
        False,
    ]


async def test_jobs_that_are_read_ahead_do_not_displace_one_another(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more than fit those are read whose deadlines come first."""
    monkeypatch.setattr(engine_module, "READ_AHEAD_JOBS", 1)
    job_ids = [(await here.waiting(question(timeout=timers_module.LOOKAHEAD)))[0].job_id for _ in range(8)]
    size = max(aggregate.size for j in job_ids if (aggregate := here.engine.hot.peek(j)) is not None)
    for job_id in job_ids:
        here.engine.hot.drop(job_id)
    here.engine.hot.max_bytes = 4 * size
    await here.engine.read_ahead(job_ids)
    read = [here.engine.hot.peek(job_id) is not None for job_id in job_ids]
    assert sum(read) in (2, 3)
    assert all(read[: sum(read)])
