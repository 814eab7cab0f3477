"""A replica's memory of jobs that another one has changed equals the stored rows, or is empty."""

from __future__ import annotations

import random

import pytest

from askback_server.domain import commands as c
from askback_server.domain.commands import PromptRef
from askback_server.domain.errors import AskbackError
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt
from askback_server.engine.committed import Committed
from askback_server.ports.announcements import Announcement
from tests.support.aggregates import ANN, BOB, CLIENT, WORKER
from tests.support.storage import Node, check_job, get_job, whole


async def announce(here: Node, job: Job, after: int, seq: int) -> None:
    """Deliver another replica's bare announcement of a job that a session of this one holds."""
    stop = here.feed.follow_job(job.job_id, nothing)
    here.feed.receive([Announcement(job.job_id, after, seq)])
    await here.feed._read_news()
    stop()


def nothing(item: Committed) -> None:
    """Follow a job."""


async def check_memory(here: Node, job: Job) -> bool:
    """Check that the job in memory equals the stored one. Returns whether it is in memory at that version."""
    known = here.hot.get(job.job_id)
    if known is None or known.job is None:
        return False
    stored, _ = await whole(here.database, job.job_id)
    assert stored.job is not None
    if known.job.version != stored.job.version:
        return False
    assert known.job == stored.job
    for prompt_id, prompt in known.prompts.items():
        assert prompt == stored.prompts[prompt_id]
    for name, submission in known.submissions.items():
        assert submission == stored.submissions[name]
    assert {p.prompt_id for p in known.open} == {p.prompt_id for p in stored.open}
    return True


async def test_a_prompt_asked_elsewhere_is_answered_here_without_a_read(here: Node, there: Node) -> None:
    job, prompt = await there.waiting()
    await announce(here, job, 0, 3)
    assert await check_memory(here, job)

    async def read(*_: object) -> None:
        raise AssertionError("the database was read")

    here.database.jobs.load = read  # type: ignore[assignment, method-assign]
    here.database.jobs.find_prompt = read  # type: ignore[assignment, method-assign]
    assert (await here.answer(prompt)).status == "ACCEPTED"
    await check_job(there.database, job.job_id)


async def test_a_job_with_unknown_open_prompts_is_not_kept_in_memory(here: Node, there: Node) -> None:
    """Only the second of two open prompts was announced."""
    job, _ = await there.waiting()
    await there.ask(job, "b")
    await announce(here, job, 3, 4)
    assert here.hot.get(job.job_id) is None


@pytest.mark.parametrize("seed", range(3))
async def test_memory_is_right_when_two_replicas_write_one_job_in_turn(
    here: Node, there: Node, seed: int
) -> None:
    """Announcements are late, merged or lost, and the job in memory must always be right for its version."""
    rng = random.Random(seed)
    job = await there.lease_new_job()
    prompts: list[Prompt] = []
    announced, remembered = 0, 0
    for turn in range(40):
        node = rng.choice((here, there))
        before = await get_job(here.database, job.job_id)
        prompt = rng.choice(prompts) if prompts else None
        try:
            match rng.randrange(6):
                case 0 | 1:
                    prompts.append(await node.ask(job, f"k{turn}"))
                case 2 if prompt is not None:
                    await node.answer(prompt, f"a{turn}", principal=rng.choice((ANN, BOB)))
                case 3 if prompt is not None:
                    receipt = c.AcknowledgePrompts(
                        principal=WORKER, job_id=job.job_id, token=job.token, prompt_ids=(prompt.prompt_id,)
                    )
                    await node.do(receipt)
                case 4 if prompt is not None:
                    await node.do(c.CancelPrompt(principal=CLIENT, ref=PromptRef(prompt_id=prompt.prompt_id)))
                case _:
                    await node.do(node.progress_command(job, turn))
        except AskbackError:
            pass
        after = await get_job(here.database, job.job_id)
        if rng.random() < 0.7:
            # An announcement may cover several commits: after a lost one, the next covers its span.
            await announce(here, job, rng.choice((before.version, announced)), after.version)
            announced = after.version
        if rng.random() < 0.1:
            await here.catch_up()
        remembered += await check_memory(here, job)
    assert remembered > 10
    await check_job(here.database, job.job_id)


async def test_events_before_an_announcement_are_not_assumed_to_be_known(here: Node, there: Node) -> None:
    """The job came into memory by a read, and a late answer in between was not announced."""
    job, prompt = await there.waiting()
    await there.answer(prompt)
    await here.answer(prompt, "late", principal=BOB)
    here.bus._versions.clear()
    await there.answer(prompt, "later", principal=BOB)
    await there.do(there.progress_command(job, 1))
    await announce(here, job, 6, 7)
    assert await check_memory(here, job)
    known = here.hot.get(job.job_id)
    assert known is not None
    assert not known.prompts, "the closed prompt is read when it is needed"
