"""What a replica remembers of jobs that another one changed: exactly what is stored, or nothing."""

from __future__ import annotations

import random

import pytest

from askback_server.domain import commands as c
from askback_server.domain.commands import PromptRef
from askback_server.domain.errors import AskbackError
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt
from askback_server.ports.wakeups import Hint
from tests.support.aggregates import ANN, BOB, CLIENT, WORKER
from tests.support.storage import Node, check_job, whole


async def call(here: Node, job: Job, after: int, seq: int) -> None:
    """Another replica calls a job's move out, and it is read."""
    here.feed.receive_hints([Hint(job.job_id, after, seq)])
    await here.feed._read_hinted()


async def check_memory(here: Node, job: Job) -> bool:
    """What is remembered is what is stored. Whether anything is."""
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
    await call(here, job, 0, 3)
    assert await check_memory(here, job)

    async def read(*_: object) -> None:
        raise AssertionError("it was read")

    here.database.jobs.load = read  # type: ignore[assignment, method-assign]
    here.database.jobs.find_prompt = read  # type: ignore[assignment, method-assign]
    assert (await here.answer(prompt)).status == "ACCEPTED"
    await check_job(there.database, job.job_id)


async def test_what_is_not_known_whole_is_not_remembered(here: Node, there: Node) -> None:
    """Of two open prompts only the second was called out."""
    job, _ = await there.waiting()
    await there.ask(job, "b")
    await call(here, job, 3, 4)
    assert here.hot.get(job.job_id) is None


@pytest.mark.parametrize("seed", range(3))
async def test_two_replicas_take_turns_at_a_job(here: Node, there: Node, seed: int) -> None:
    """Some calls come late, together, or not at all; whatever is remembered at its version is right."""
    dice = random.Random(seed)
    job = await there.held()
    prompts: list[Prompt] = []
    told, remembered = 0, 0
    for turn in range(40):
        node = dice.choice((here, there))
        before = (await whole(here.database, job.job_id))[0].job
        assert before is not None
        prompt = dice.choice(prompts) if prompts else None
        try:
            match dice.randrange(6):
                case 0 | 1:
                    prompts.append(await node.ask(job, f"k{turn}"))
                case 2 if prompt is not None:
                    await node.answer(prompt, f"a{turn}", principal=dice.choice((ANN, BOB)))
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
        after = (await whole(here.database, job.job_id))[0].job
        assert after is not None
        if dice.random() < 0.7:
            # A call may cover several commits; one that was lost leaves its span to the next.
            await call(here, job, dice.choice((before.version, told)), after.version)
            told = after.version
        if dice.random() < 0.1:
            await here.catch_up()
        remembered += await check_memory(here, job)
    assert remembered > 10
    await check_job(here.database, job.job_id)


async def test_what_lies_before_a_call_is_not_taken_for_known(here: Node, there: Node) -> None:
    """Remembered from a read, never followed: a late answer in between was not called out."""
    job, prompt = await there.waiting()
    await there.answer(prompt)
    await here.answer(prompt, "late", principal=BOB)
    here.bus._versions.clear()
    await there.answer(prompt, "later", principal=BOB)
    await there.do(there.progress_command(job, 1))
    await call(here, job, 6, 7)
    assert await check_memory(here, job)
    known = here.hot.get(job.job_id)
    assert known is not None
    assert not known.prompts, "the closed one is read when it is needed"
