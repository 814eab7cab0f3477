"""What callers get of a job of which the sweep has deleted a part: as before the deletion or as after it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from askback_server.domain import commands as c
from askback_server.domain.content import Audience
from askback_server.domain.deletion_rules import DeletionUnfinished
from askback_server.domain.errors import Contention, JobNotFound, PromptNotFound
from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import AnswerStatus
from askback_server.ports.storage import JobWrite
from askback_server.storage.removal import STEP_BYTES, STEP_ROWS
from tests.support.aggregates import ANN, CLIENT, question
from tests.support.purging import large_job, purge_of
from tests.support.rows import as_answered, creation, new_job, new_prompt
from tests.support.storage import GatedStore, Node, get_job, node
from tests.support.waiting import until

INCOMPRESSIBLE = "".join(str(pow(7, n, 1_000_003)) for n in range(STEP_BYTES // 6))


async def test_a_console_that_saw_a_part_of_a_job_never_sees_its_state(here: Node) -> None:
    """The state contains the questions and answers of prompts that are deleted already."""
    past = await here.database.ping() - here.engine.limits.retention_max
    job = new_job(
        state=JobState.COMPLETED, ready_at=None, completed_at=past, purge_at=past, rounds=STEP_ROWS + 1
    )
    for_bob, for_ann = (
        question(audience=Audience(users=("bob",))),
        question(audience=Audience(users=("ann",))),
    )
    hidden = [new_prompt(job, for_bob, key=f"k{n:04}", round=n + 1) for n in range(STEP_ROWS)]
    prompts = [*hidden, new_prompt(job, for_ann, key="z", round=STEP_ROWS + 1)]
    await here.database.jobs.write([creation(job, *(as_answered(p, "ann", 0) for p in prompts))])
    with pytest.raises(JobNotFound):
        await here.queries.understanding(job.job_id, ANN)
    with pytest.raises(DeletionUnfinished):
        await here.do(c.PurgeJob(job_id=job.job_id))
    left = await here.queries.prompts(p.prompt_id for p in prompts)
    assert [p.prompt_id for p in left] == [prompts[-1].prompt_id]
    with pytest.raises(JobNotFound):
        await here.queries.understanding(job.job_id, ANN)


async def test_the_request_of_a_job_that_lost_its_prompt_is_sent_again(here: Node, there: Node) -> None:
    """A reply would have the job without the prompt that the request made."""
    command = c.CreateJob(principal=CLIENT, namespace="", job_type="t", request_id="r1", prompt=question())
    made = await here.do(command)
    # More refused answers than one step deletes.
    for n in range(STEP_ROWS + 1):
        refused = await here.answer(made.prompt, f"a{n}", revision=7)
        assert refused.status is AnswerStatus.STALE
    await here.do(c.CancelJob(principal=CLIENT, job_id=made.job.job_id, reason=""))
    job = await get_job(here.database, made.job.job_id)
    past = await here.database.ping() - here.engine.limits.retention_max
    after = replace(job, version=job.version + 1, purge_at=past)
    await here.database.jobs.write([JobWrite(after, job.version)])
    await here.catch_up()
    with pytest.raises(DeletionUnfinished):
        await here.do(c.PurgeJob(job_id=job.job_id))
    with pytest.raises(Contention):
        await there.do(command)
    assert await purge_of(here).run() == 1
    second = await there.do(command)
    assert second.prompt is not None
    assert second.job.job_id != job.job_id


async def test_a_repeated_answer_never_gets_another_verdict(here: Node, there: Node) -> None:
    """A step may delete the accepted answer before its prompt: the prompts are larger."""
    _, prompts = await large_job(here, 3, question(body=INCOMPRESSIBLE))
    with pytest.raises(DeletionUnfinished):
        await here.do(c.PurgeJob(job_id=prompts[0].job_id))
    left = await there.queries.prompts(p.prompt_id for p in prompts)
    assert left
    for prompt in left:
        assert not await here.database.jobs.list_submissions(prompt.prompt_id, 10, 0)
        with pytest.raises(PromptNotFound):
            await there.answer(prompt, "a1")


async def test_a_late_answer_is_recorded_until_the_end_of_the_retention(here: Node) -> None:
    job = await here.create(question())
    prompt = (await here.queries.job_with_prompts(job.job_id, CLIENT))[1][0]
    assert (await here.answer(prompt)).status is AnswerStatus.ACCEPTED
    assert (await here.answer(prompt, "a2")).status is AnswerStatus.CLOSED
    assert (await here.answer(prompt, "a2")).replayed


@pytest.mark.parametrize("sent", ["labels", "answer", "cancel", "delete"])
async def test_a_command_in_the_batch_of_a_step_is_not_refused(migrated_db_url: str, sent: str) -> None:
    """A step that leaves rows writes nothing else, so what came with it is written after it."""
    async with node(migrated_db_url, wrap=GatedStore) as here:
        job, prompts = await large_job(here)
        blocker = await here.create()
        here.store.gate.clear()
        held = asyncio.create_task(
            here.do(c.UpdateJob(principal=CLIENT, job_id=blocker.job_id, values={"priority": 1}))
        )
        await here.store.waiting.wait()
        command: c.Command[object] = {
            "labels": c.UpdateJob(principal=CLIENT, job_id=job.job_id, values={"labels": {"a": "b"}}),
            "answer": here.answer_command(prompts[-1], "late"),
            "cancel": c.CancelJob(principal=CLIENT, job_id=job.job_id, reason=""),
            "delete": c.DeleteJob(principal=CLIENT, job_id=job.job_id),
        }[sent]
        mine = asyncio.create_task(here.do(command))
        step = asyncio.create_task(here.do(c.PurgeJob(job_id=job.job_id, head=job)))
        await until(lambda: here.engine.waiting == 2, "both wait for the next batch")
        here.store.gate.set()
        await asyncio.gather(held, mine, step, return_exceptions=True)
        error = mine.exception()
        assert not isinstance(error, Contention), error
