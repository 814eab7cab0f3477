"""After an outage the database may lack commits that a replica has decided ahead of the log."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from askback_server.domain.jobs import Job
from askback_server.engine.committed import ChangedPrompts
from askback_server.feed.feed import Feed, LostHistory
from askback_server.ports.announcements import Announcement
from askback_server.ports.queries import PromptFilter
from askback_server.storage import tables
from tests.contract.test_interest import BOB, announced, nothing, replica_beside, taken
from tests.support.storage import Node, execute

__all__ = ["announced"]

OF_BOB = PromptFilter("default", viewer=BOB)


async def lose(here: Node, job: Job, seq: int) -> None:
    """Let the database be one without this commit of a job."""
    c = tables.events.c
    assert await execute(here.database, sa.delete(tables.events).where(c.job_id == job.job_id, c.seq == seq))


async def ends(feed: Feed) -> bool:
    """Whether the feed finds, after an outage, that commits were lost."""
    try:
        await feed._check_history()
    except LostHistory:
        return True
    return False


@pytest.mark.parametrize("how", ["committed", "shown", "held"])
async def test_a_replica_ends_if_a_commit_that_it_has_seen_ahead_of_the_log_is_lost(
    here: Node, announced: list[Announcement], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    async with replica_beside(here, monkeypatch) as other:
        job = await here.lease_new_job()
        await other.take(taken(announced))
        await here.catch_up()
        if how == "held":
            other.feed.follow_job(job.job_id, nothing)
        elif how == "shown":
            other.feed.follow_prompts(OF_BOB, nothing)
        lost = await here.ask(job)
        await other.take(taken(announced))
        first, second = (here, other) if how == "committed" else (other, here)
        assert not await ends(first.feed), "nothing is lost yet"
        await lose(here, job, lost.version)
        assert await ends(first.feed)
        assert await here.database.feed.epoch() != first.feed.epoch, "tokens of this history are refused"
        assert await ends(second.feed), "its tokens are of a history that has ended"


async def test_a_replica_that_has_only_heard_of_a_lost_commit_goes_on_and_misses_nothing(
    here: Node, announced: list[Announcement], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another commit comes in its place, with the same seq."""
    async with replica_beside(here, monkeypatch) as other:
        job = await here.lease_new_job()
        other.feed.receive(taken(announced))
        lost = Announcement(job.job_id, job.version, job.version + 1, job.namespace, job.job_type)
        await other.take([lost])
        assert not await ends(other.feed)
        shown: list[ChangedPrompts] = []
        other.feed.follow_prompts(OF_BOB, shown.append)
        new = await here.ask(job)
        assert new.version == lost.seq
        await other.take(taken(announced))
        assert [p.prompt_id for c in shown for p in c.prompts] == [new.prompt_id]


async def test_what_the_log_has_confirmed_is_not_compared_any_more(
    here: Node, announced: list[Announcement], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the versions of jobs that were deleted long ago would look like lost ones."""
    async with replica_beside(here, monkeypatch) as other:
        other.feed.follow_prompts(OF_BOB, nothing)
        _, prompt = await here.waiting()
        await other.take(taken(announced))
        await here.answer(prompt)
        other.feed.receive(taken(announced))
        for feed in (here.feed, other.feed):
            assert feed._known.seen
        await here.catch_up()
        while await other.feed._log.head() != other.feed.position:
            await other.feed.read()
        await other.feed._read_news()
        for feed in (here.feed, other.feed):
            assert not feed._known.seen
            assert not feed._known._ahead
