"""Two engines on one database: an outdated memory costs a retry, but never a wrong reply or write."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.aggregate import Aggregate
from askback_server.domain.commands import PromptRef
from askback_server.domain.errors import IllegalState, LeaseLost, PromptClosed, StorageUnavailable
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState, Progress
from askback_server.domain.prompts import AnswerStatus, Prompt, PromptState
from askback_server.engine.hot_jobs import MAX_CLOSED_PROMPTS
from askback_server.feed import feed
from askback_server.ports.storage import Wanted
from tests.support.aggregates import ADMIN, ANN, BOB, CLIENT, OTHER_WORKER, WORKER, question
from tests.support.storage import Node, check_job, get_job
from tests.support.waiting import until


async def test_a_losing_answer_is_closed_with_the_winner_from_another_replica(
    here: Node, there: Node
) -> None:
    job, prompt = await here.waiting()
    won = await there.answer(prompt, "b1", principal=BOB, comment="mine")
    assert won.status is AnswerStatus.ACCEPTED
    stale = here.hot.get(job.job_id)
    assert stale is not None
    assert stale.prompts[prompt.prompt_id].is_open
    result = await here.answer(prompt, "a1", principal=ANN)
    assert result.status is AnswerStatus.CLOSED
    assert result.prompt.resolution is not None
    assert result.prompt.resolution.answer is not None
    assert result.prompt.resolution.answer.user_id == "bob"
    assert result.prompt.resolution == won.prompt.resolution
    await check_job(here.database, job.job_id)


async def test_a_repeated_answer_gets_its_first_result_on_any_replica(here: Node, there: Node) -> None:
    job, prompt = await here.waiting(question())
    command = there.answer_command(prompt, "a1")
    first = await there.do(command)
    again, third = await here.do(command), await there.do(command)
    assert [r.replayed for r in (first, again, third)] == [False, True, True]
    assert {r.status for r in (first, again, third)} == {AnswerStatus.ACCEPTED}
    assert again.prompt.resolution == first.prompt.resolution
    _, events = await check_job(here.database, job.job_id)
    assert [e.type for e in events].count(EventType.PROMPT_ANSWERED) == 1


@pytest.mark.parametrize("what", ["lease", "complete", "ask", "cancel prompt", "claim"])
async def test_a_command_that_outdated_memory_would_refuse_is_decided_on_the_stored_state(
    here: Node, there: Node, what: str
) -> None:
    """`here` has a state in memory in which the command would be refused; `there` has changed it."""
    job, prompt = await here.waiting()
    session = await there.session()
    if what == "lease":
        # In memory the job waits for an answer; on the other replica it was answered and released.
        await there.answer(prompt)
        await there.do(c.ReleaseJob(principal=WORKER, job_id=job.job_id, token=job.token))
        here.clock.observe(await here.database.ping())
        leased = await here.lease(job, session)
        assert (leased.state, leased.token) == (JobState.RUNNING, job.token + 1)
        return
    # On the other replica the job has moved to another worker; the memory has the old holder and token.
    await there.do(c.ReleaseJob(principal=WORKER, job_id=job.job_id, token=job.token))
    if what in ("complete", "ask"):
        await there.answer(prompt)
        moved = await there.lease(job, session, OTHER_WORKER)
        with pytest.raises(LeaseLost):
            await here.do(here.progress_command(job, 1))
        here.hot.put((await there.database.jobs.load([Wanted(job_id=job.job_id)]))[0])
        # The same with the next holder: the memory is outdated again.
        await there.do(c.ReleaseJob(principal=OTHER_WORKER, job_id=job.job_id, token=moved.token))
        third = await there.lease(job, await there.session())
        assert here.hot.get(job.job_id).job.token == moved.token  # type: ignore[union-attr]
        if what == "complete":
            assert (await here.complete(third)).state is JobState.COMPLETED
        else:
            assert (await here.ask(third, "b")).round == 2
        await check_job(here.database, job.job_id)
        return
    if what == "cancel prompt":
        # In memory the prompt is closed. A closed prompt never reopens, so the command is refused.
        await here.answer(prompt)
        with pytest.raises(PromptClosed):
            await here.do(c.CancelPrompt(principal=CLIENT, ref=PromptRef(prompt_id=prompt.prompt_id)))
        return
    await here.do(c.ClaimPrompt(principal=ANN, ref=PromptRef(prompt_id=prompt.prompt_id)))
    await there.do(c.ReleasePrompt(principal=ADMIN, ref=PromptRef(prompt_id=prompt.prompt_id)))
    claimed = await here.do(c.ClaimPrompt(principal=BOB, ref=PromptRef(prompt_id=prompt.prompt_id)))
    assert claimed.claimed_by == "bob"


async def test_a_command_that_the_stored_state_refuses_is_refused(here: Node, there: Node) -> None:
    job = await here.lease_new_job()
    with pytest.raises(IllegalState):
        await here.do(c.DeleteJob(principal=CLIENT, job_id=job.job_id))
    with pytest.raises(LeaseLost):
        await here.do(here.progress_command(job, 1, token=7))
    with pytest.raises(LeaseLost):
        await there.do(there.progress_command(job, 1, principal=OTHER_WORKER))
    assert (await get_job(here.database, job.job_id)).version == 2


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_aggregate_read_while_it_changes_is_consistent(here: Node, there: Node, when: str) -> None:
    """The job and its prompts are read by one statement, with a commit before or after it."""
    job, prompt = await here.waiting()
    here.hot.drop(job.job_id)
    own, statements = here.database.jobs._read, 0

    async def read(*args: Any) -> Any:
        nonlocal statements
        statements += 1
        if statements > 1:
            return await own(*args)
        if when == "before":
            await there.do(command)
        found = await own(*args)
        if when == "after":
            await there.do(command)
        return found

    command = here.answer_command(prompt, "a1")
    here.database.jobs._read = read  # type: ignore[method-assign]
    result = await here.do(command)
    here.database.jobs._read = own  # type: ignore[method-assign]
    assert statements
    assert (result.status, result.replayed) == (AnswerStatus.ACCEPTED, True)
    assert result.prompt.resolution is not None
    assert result.prompt.resolution.answer is not None
    await check_job(here.database, job.job_id)


async def test_a_closed_prompt_in_memory_is_dropped_when_its_version_changes(here: Node, there: Node) -> None:
    """A late answer on another replica changes a closed prompt. If the prompt stayed in memory, the next late
    answer here would overwrite the number of submissions and the receipt."""
    job, prompt = await here.waiting()
    await here.answer(prompt, "a1")
    remembered = here.hot.get(job.job_id)
    assert remembered is not None

    assert (await there.answer(prompt, "b1", principal=BOB)).status is AnswerStatus.CLOSED
    receipt = c.AcknowledgePrompts(
        principal=WORKER, job_id=job.job_id, token=job.token, prompt_ids=(prompt.prompt_id,)
    )
    await there.do(receipt)
    # A strong read brings the job into memory without its closed prompts.
    await here.queries.job(job.job_id, CLIENT, strong=True)
    assert (await here.answer(prompt, "c1", principal=ANN)).status is AnswerStatus.CLOSED
    aggregate, _ = await check_job(here.database, job.job_id)
    assert aggregate.prompts[prompt.prompt_id].submissions == 3
    assert aggregate.prompts[prompt.prompt_id].consumed_at is not None
    assert (await here.answer(prompt, "b1", principal=BOB)).replayed


async def test_late_answers_to_forgotten_prompts_are_decided_correctly(here: Node) -> None:
    """The memory keeps only the newest closed prompts of a job."""
    job = await here.lease_new_job()
    prompts: list[Prompt] = []
    remembered = Aggregate()
    # Until the first prompts are forgotten, and one more would exceed the limit again.
    while len(prompts) <= 2 * MAX_CLOSED_PROMPTS or len(remembered.prompts) < 2 * MAX_CLOSED_PROMPTS:
        prompts.append(await here.ask(job, f"k{len(prompts)}"))
        await here.answer(prompts[-1], "a1")
        remembered = here.hot.get(job.job_id) or Aggregate()
    assert prompts[0].prompt_id not in remembered.prompts
    late = await here.answer(prompts[0], "late", principal=BOB)
    assert late.status is AnswerStatus.CLOSED
    assert (await here.answer(prompts[0], "late", principal=BOB)).replayed
    assert (await here.answer(prompts[0], "a1")).replayed
    replayed = await here.do(here.ask_command(job, "k0"))
    assert replayed.replayed
    assert replayed.prompt.state is PromptState.ANSWERED
    await check_job(here.database, job.job_id)


# --- the feed between the replicas ---


async def test_the_feed_delivers_the_commits_of_another_replica(here: Node, there: Node) -> None:
    job, prompt = await there.waiting()
    await here.catch_up()
    assert [p.is_open for item in here.received for p in item.prompts] == [True]
    await there.answer(prompt)
    await here.catch_up()
    assert here.prompt_states(prompt.prompt_id)[-1] is PromptState.ANSWERED
    commits = [item for item in here.received if item.job.job_id == job.job_id]
    assert commits[-1].job == await get_job(there.database, job.job_id)


async def test_the_feed_invalidates_outdated_jobs_in_memory(here: Node, there: Node) -> None:
    job = await here.lease_new_job()
    await there.do(there.progress_command(job, 5))
    assert (await here.queries.job(job.job_id, CLIENT)).progress is None, "the feed has not been read yet"
    assert (await here.queries.job(job.job_id, CLIENT, strong=True)).progress == Progress(done=5)
    await there.do(there.progress_command(job, 6))
    await here.catch_up()
    assert (await here.queries.job(job.job_id, CLIENT)).progress == Progress(done=6)


async def test_followers_get_each_version_once_in_rising_order(here: Node) -> None:
    job, prompt = await here.waiting()
    await here.answer(prompt)
    await here.complete(job)
    versions = [item.job.version for item in here.received]
    assert versions == sorted(set(versions))
    await here.catch_up()
    assert [item.job.version for item in here.received] == versions


async def test_a_local_commit_does_not_hide_an_unread_commit_of_another_replica(
    here: Node, there: Node
) -> None:
    """A prompt is answered on the other replica; progress is written here before the log is read. The event
    then read is older than the last one delivered, but followers still need it."""
    job, prompt = await here.waiting()
    await here.catch_up()
    await there.answer(prompt)
    await here.do(here.progress_command(job, 1))
    assert here.received[-1].job.version == 5
    await here.catch_up()
    assert here.prompt_states(prompt.prompt_id)[-1] is PromptState.ANSWERED
    before = len(here.received)
    await here.do(here.progress_command(job, 2))
    await here.catch_up()
    assert len(here.received) == before + 1, "the gap was closed"


async def test_a_gap_stays_open_until_its_events_are_read(here: Node, there: Node) -> None:
    """Commits of both replicas alternate, and the log is read in between."""
    job = await here.lease_new_job()
    prompts = [await here.ask(job, f"k{i}") for i in range(6)]
    await here.catch_up()
    for i, prompt in enumerate(prompts):
        await there.answer(prompt)
        await here.do(here.progress_command(job, i))
        if i % 2:
            await here.feed.read()
    await here.catch_up()
    for prompt in prompts:
        assert here.prompt_states(prompt.prompt_id)[-1] is PromptState.ANSWERED


async def test_a_job_read_newer_than_its_event_hides_no_prompt(
    here: Node, there: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log is read in parts, jobs in their current version: later parts still name prompts."""
    job = await there.lease_new_job()
    prompts = [await there.ask(job, f"k{i}") for i in range(3)]
    for prompt in prompts:
        await there.answer(prompt)
    monkeypatch.setattr(feed, "MAX_EVENTS_PER_READ", 1)
    await here.catch_up()
    for prompt in prompts:
        assert here.newest_prompt(prompt.prompt_id).state is PromptState.ANSWERED


async def test_a_local_commit_during_a_read_hides_no_prompt(here: Node, there: Node) -> None:
    """A local commit happens while the feed reads the commits of another replica."""
    job, prompt = await here.waiting()
    await here.catch_up()
    await there.answer(prompt)
    own, reports = here.database.jobs.get_jobs_and_prompts, 0

    async def read(job_ids: Any, prompt_ids: Any) -> Any:
        nonlocal reports
        found = await own(job_ids, prompt_ids)
        if not reports:
            reports += 1
            await here.do(here.progress_command(job, 1))
        return found

    here.database.jobs.get_jobs_and_prompts = read  # type: ignore[method-assign]
    await here.catch_up()
    assert reports
    assert here.prompt_states(prompt.prompt_id)[-1] is PromptState.ANSWERED
    assert max(item.job.version for item in here.received if item.job.job_id == job.job_id) == 5
    known = here.hot.get(job.job_id)
    assert known is None or known.job == await get_job(here.database, job.job_id)


async def test_a_read_overtaken_by_the_feed_does_not_stay_in_memory(here: Node, there: Node) -> None:
    """A job is read, changed elsewhere, reported by the feed, and only then put into memory."""
    job = await there.lease_new_job()
    await here.catch_up()
    own = here.queries._store.load

    async def load(wanted: Sequence[Wanted]) -> Any:
        found = await own(wanted)
        await there.do(there.progress_command(job, 1))
        await here.catch_up()
        return found

    here.queries._store.load = load  # type: ignore[method-assign]
    await here.queries.job(job.job_id, CLIENT)
    here.queries._store.load = own  # type: ignore[method-assign]
    assert (await here.queries.job(job.job_id, CLIENT)).progress == Progress(done=1)


async def test_a_job_deleted_on_another_replica_is_dropped_from_memory(here: Node, there: Node) -> None:
    job = await here.create()
    await here.queries.job(job.job_id, CLIENT)
    await there.do(c.CancelJob(principal=CLIENT, job_id=job.job_id))
    await there.do(c.DeleteJob(principal=CLIENT, job_id=job.job_id))
    await here.catch_up()
    assert here.hot.get(job.job_id) is None


async def test_followers_learn_which_prompts_were_deleted_with_a_job(here: Node, there: Node) -> None:
    """The log names the prompt, but its end is no longer stored."""
    job, prompt = await there.waiting()
    await here.catch_up()
    await there.do(c.CancelJob(principal=CLIENT, job_id=job.job_id))
    await there.do(c.EndGrace(job_id=job.job_id))
    await there.complete(job)
    await there.do(c.DeleteJob(principal=CLIENT, job_id=job.job_id))
    await here.catch_up()
    [deletion] = [item for item in here.received if item.deleted]
    assert deletion.lost == {prompt.prompt_id}


async def test_memory_is_not_used_while_the_feed_is_down(here: Node, there: Node) -> None:
    job = await here.lease_new_job()
    own, down = here.feed._log.after, True

    async def after(*args: Any) -> Any:
        if down:
            raise StorageUnavailable("away")
        return await own(*args)

    here.feed._log.after = after  # type: ignore[assignment, method-assign]
    running = asyncio.create_task(here.feed.run())
    try:
        await until(lambda: not here.hot.is_live, "the feed is known to be down")
        await there.do(there.progress_command(job, 3))
        assert (await here.queries.job(job.job_id, CLIENT)).progress == Progress(done=3)
        down = False
        await until(lambda: here.hot.is_live, "the feed is back")
    finally:
        running.cancel()


async def test_changes_missed_while_the_feed_was_down_are_not_hidden_afterwards(
    here: Node, there: Node
) -> None:
    job = await here.lease_new_job()
    await here.catch_up()
    here.hot.suspend()  # what the feed does when it cannot be read
    await there.do(there.progress_command(job, 3))
    await here.catch_up()
    here.hot.resume()
    assert (await here.queries.job(job.job_id, CLIENT)).progress == Progress(done=3)
