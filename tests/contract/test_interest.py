"""A replica reads of other replicas' commits only what its sessions get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from askback_server.domain import commands as c
from askback_server.domain.commands import PromptRef
from askback_server.domain.content import Audience
from askback_server.domain.errors import StorageUnavailable
from askback_server.domain.jobs import Job
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import AnswerStatus, Prompt, PromptState
from askback_server.engine.commit_bus import CommitBus
from askback_server.engine.committed import ChangedPrompts, Committed
from askback_server.engine.hot_jobs import HotJobs
from askback_server.feed.feed import Feed
from askback_server.feed.tokens import ResumeTokens
from askback_server.ports.announcements import Announcement
from askback_server.ports.queries import JobFilter, PromptFilter
from askback_server.ports.storage import Wanted
from askback_server.sessions.admission import Admission
from askback_server.sessions.frames import PromptEvent, Upserted
from askback_server.sessions.images import Images
from askback_server.sessions.memory_budget import MemoryBudget
from askback_server.sessions.prompt_follower import PromptFollower
from askback_server.sessions.prompt_view import PromptView
from askback_server.storage.reader import Reader
from tests.support.aggregates import CLIENT, question
from tests.support.storage import Node, node
from tests.support.waiting import until

BOB = Principal("bob", frozenset({Role.CONSOLE}))
LAWYER = replace(BOB, groups=frozenset({"law"}))
FOR_LAW = replace(question(), audience=Audience(groups=frozenset({"law"})))


@dataclass
class Replica:
    """The feed of another replica on the database of `here`, with what it reads."""

    feed: Feed
    hot: HotJobs
    bus: CommitBus
    statements: int = 0
    rows: int = 0

    async def take(self, announced: Iterable[Announcement]) -> None:
        self.feed.receive(list(announced))
        await self.feed._read_news()

    def reset(self) -> None:
        self.statements = self.rows = 0


@asynccontextmanager
async def replica_beside(here: Node, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Replica]:
    async with node(str(here.database._dialect.reads.url.render_as_string(hide_password=False))) as there:
        bus = CommitBus()
        hot = HotJobs(lambda: 0.0, newest=bus.version_of)
        replica = Replica(Feed(there.database.feed, there.database.jobs, hot, bus), hot, bus)
        await replica.feed.start()
        once = Reader._read

        async def count(self: Reader, *args: Any) -> Sequence[Any]:
            found = await once(self, *args)
            if self._dialect is there.database._dialect:
                replica.statements += 1
                replica.rows += len(found)
            return found

        monkeypatch.setattr(Reader, "_read", count)
        yield replica


@pytest.fixture
def announced(here: Node, monkeypatch: pytest.MonkeyPatch) -> list[Announcement]:
    """What `here` announces, in order; cleared by the tests."""
    sent: list[Announcement] = []
    monkeypatch.setattr(here.feed.wakeups, "send", sent.extend)
    return sent


def taken(announced: list[Announcement]) -> list[Announcement]:
    found = announced[:]
    announced.clear()
    return found


async def trip(here: Node, job: Job, key: str) -> Prompt:
    prompt = await here.ask(job, key)
    await here.answer(prompt)
    return prompt


def nothing(_: object) -> None:
    """Follow, for the interest alone."""


NOT_INTERESTED = {
    "no session": None,
    "another type": PromptFilter("default", viewer=BOB, job_types=("other",)),
    "another namespace": PromptFilter("other", viewer=BOB),
    "another kind": PromptFilter("default", viewer=BOB, kinds=("preview",)),
    "another label": PromptFilter("default", viewer=BOB, labels={"region": "eu"}),
    "another job": PromptFilter("default", job_id="0190f3b2-0000-7000-8000-000000000000"),
}


@pytest.mark.parametrize("who", NOT_INTERESTED)
async def test_a_replica_without_an_interested_session_reads_nothing(
    here: Node, announced: list[Announcement], monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    async with replica_beside(here, monkeypatch) as other:
        if filter := NOT_INTERESTED[who]:
            other.feed.follow_prompts(filter, nothing)
        job = await here.lease_new_job()
        for turn in range(5):
            await trip(here, job, f"k{turn}")
            await other.take(taken(announced))
        assert (other.statements, other.rows) == (0, 0)
        assert other.bus.version_of(job.job_id) == 12
        # The log finds nothing that is not decided already: one statement, for any number of trips.
        await other.feed.read()
        assert other.statements == 1
        assert len(other.hot) == 0


@pytest.mark.parametrize("earlier", [0, 60])
async def test_an_interested_console_costs_one_row_per_change_of_its_prompt(
    here: Node, announced: list[Announcement], monkeypatch: pytest.MonkeyPatch, earlier: int
) -> None:
    """However many prompts the job has had. The job itself is not read."""
    async with replica_beside(here, monkeypatch) as other:
        shown: list[ChangedPrompts] = []
        other.feed.follow_prompts(PromptFilter("default", viewer=BOB), shown.append)
        job = await here.lease_new_job()
        for turn in range(earlier):
            await trip(here, job, f"e{turn}")
        await other.take(taken(announced))
        shown.clear()
        other.reset()
        for turn in range(5):
            prompt = await here.ask(job, f"k{turn}")
            await other.take(taken(announced))
            await here.answer(prompt)
            await other.take(taken(announced))
        assert (other.statements, other.rows) == (10, 10)
        assert [p.state for c in shown for p in c.prompts] == [PromptState.PENDING, PromptState.ANSWERED] * 5
        assert len(other.hot) == 0, "the job lives elsewhere"


async def test_a_watcher_of_jobs_costs_the_job_and_no_prompt(
    here: Node, announced: list[Announcement], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replica_beside(here, monkeypatch) as other:
        seen: list[Committed] = []
        other.feed.follow_jobs(JobFilter("default"), seen.append)
        job = await here.lease_new_job()
        await other.take(taken(announced))
        other.reset()
        await trip(here, job, "a")
        await other.take(taken(announced))
        assert (other.statements, other.rows) == (1, 1)
        assert seen[-1].job.version == 4
        assert len(other.hot) == 0


async def test_a_held_job_costs_its_row_and_the_changed_prompts_and_is_kept(
    here: Node, there: Node, announced: list[Announcement], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replica_beside(here, monkeypatch) as other:
        job = await here.lease_new_job()
        other.hot.put((await here.database.jobs.load([Wanted(job_id=job.job_id)]))[0])
        await other.take(taken(announced))
        got: list[Committed] = []
        other.feed.follow_job(job.job_id, got.append)
        prompt = await trip(here, job, "a")
        await other.take(taken(announced))
        assert (other.statements, other.rows) == (1, 2)
        assert [p.prompt_id for p in got[-1].prompts] == [prompt.prompt_id]
        known = other.hot.get(job.job_id)
        assert known is not None
        assert known.job == got[-1].job


async def test_an_answer_where_its_prompt_is_shown_reads_the_job_once(
    here: Node, there: Node, announced: list[Announcement], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job of a shown prompt is known, and is not kept in memory before it is answered."""
    _, prompt = await here.waiting()
    there.feed.receive(taken(announced))
    await there.feed._read_news()
    assert len(there.hot) == 0
    once, statements = Reader._read, 0

    async def count(self: Reader, *args: Any) -> Sequence[Any]:
        nonlocal statements
        statements += 1
        return await once(self, *args)

    monkeypatch.setattr(Reader, "_read", count)
    assert (await there.answer(prompt)).status is AnswerStatus.ACCEPTED
    assert statements == 1, "the job with its open prompts"


async def test_a_commit_is_announced_before_the_sessions_here_get_it(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the longer way."""
    order: list[str] = []
    monkeypatch.setattr(here.feed.wakeups, "send", lambda items: order.extend("announced" for _ in items))
    here.feed.follow_jobs(JobFilter("default"), lambda _: order.append("delivered"))
    await here.lease_new_job()
    assert order == ["announced", "delivered"] * 2


async def test_the_interest_moves_with_a_changed_filter(
    here: Node, announced: list[Announcement], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replica_beside(here, monkeypatch) as other:
        account, admission = MemoryBudget(10**9, 10**9).account("bob", print), Admission(8)
        view = PromptView(PromptFilter("default", viewer=BOB))
        tokens = ResumeTokens(b"key", other.feed.epoch)
        parts = (other.feed, here.database.feed, here.database.jobs, tokens, admission, Images(10**9))
        follower = PromptFollower(view, *parts, account, asyncio.Event())
        await follower.load("")
        events: list[PromptEvent] = view.take(100, lambda: "")
        job = await here.lease_new_job()
        await here.ask(job, "a", FOR_LAW)
        await other.take(taken(announced))
        assert other.rows == 0
        follower.change_filter(PromptFilter("default", viewer=LAWYER))
        await here.ask(job, "b", FOR_LAW)
        await other.take(taken(announced))
        assert other.rows == 1, "before the view is read again"
        await follower._reload_view()
        events += view.take(100, lambda: "")
        assert {e.prompt.key for e in events if isinstance(e, Upserted)} == {"a", "b"}
        await here.ask(job, "c", FOR_LAW)
        await other.take(taken(announced))
        [live] = view.take(100, lambda: "")
        assert isinstance(live, Upserted)
        assert live.prompt.key == "c"
        follower.change_filter(PromptFilter("default", viewer=BOB))
        other.reset()
        await here.ask(job, "d", FOR_LAW)
        await other.take(taken(announced))
        assert other.rows == 0
        follower.detach()
        assert not other.feed._interests


async def test_a_change_is_read_again_if_a_newer_one_is_decided_during_the_read(
    here: Node, there: Node, announced: list[Announcement], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A console that begins to follow in between knows nothing of the prompt, and would keep it."""
    _, prompt = await here.waiting()
    jobs = there.database.jobs
    read = jobs.get_jobs_and_prompts
    late: list[ChangedPrompts] = []

    async def end_after_the_read(job_ids: Any, prompt_ids: Any) -> tuple[list[Job], list[Prompt]]:
        found = await read(job_ids, prompt_ids)
        monkeypatch.setattr(jobs, "get_jobs_and_prompts", read)
        await there.do(c.CancelPrompt(principal=CLIENT, ref=PromptRef(prompt_id=prompt.prompt_id)))
        there.feed.follow_prompts(PromptFilter("default", viewer=BOB), late.append)
        return found

    monkeypatch.setattr(jobs, "get_jobs_and_prompts", end_after_the_read)
    there.feed.receive(taken(announced))
    await there.feed._read_news()
    for shown in (there.changed, late):
        assert {p.state for changed in shown for p in changed.prompts} == {PromptState.CANCELLED}
    versions = [item.job.version for item in there.received]
    assert versions == sorted(versions), "a watcher of jobs gets no older job after a newer one"


async def test_a_change_whose_read_failed_comes_from_the_log(
    here: Node, announced: list[Announcement], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replica_beside(here, monkeypatch) as other:
        shown: list[ChangedPrompts] = []
        other.feed.follow_prompts(PromptFilter("default", viewer=BOB), shown.append)
        job = await here.lease_new_job()
        prompt = await here.ask(job, "a")

        async def fail(*_: Any) -> Any:
            raise StorageUnavailable("away")

        own = other.feed._delivery._jobs.get_jobs_and_prompts
        other.feed._delivery._jobs.get_jobs_and_prompts = fail  # type: ignore[method-assign]
        with pytest.raises(StorageUnavailable):
            await other.take(taken(announced))
        other.feed._delivery._jobs.get_jobs_and_prompts = own  # type: ignore[method-assign]
        assert not shown

        async def is_shown() -> bool:
            await other.feed.read()
            return bool(shown)

        await until(is_shown, "the log brings it")
        assert [p.prompt_id for c in shown for p in c.prompts] == [prompt.prompt_id]


async def test_an_announcement_after_a_lost_one_brings_both_changes(
    here: Node, announced: list[Announcement], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replica_beside(here, monkeypatch) as other:
        shown: list[ChangedPrompts] = []
        other.feed.follow_prompts(PromptFilter("default", viewer=BOB), shown.append)
        job = await here.lease_new_job()
        await other.take(taken(announced))
        lost = await here.ask(job, "a")
        taken(announced)
        heard = await here.ask(job, "b")
        await other.take(taken(announced))
        assert {p.prompt_id for c in shown for p in c.prompts} == {lost.prompt_id, heard.prompt_id}


async def test_the_log_corrects_an_announced_version_that_does_not_exist(
    here: Node, announced: list[Announcement], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replica_beside(here, monkeypatch) as other:
        job = await here.lease_new_job()
        await other.take([*taken(announced), Announcement(job.job_id, 0, 999_999, "default", "refund")])
        shown: list[str] = []

        def note(changed: ChangedPrompts) -> None:
            shown.extend(p.prompt_id for p in changed.prompts)

        other.feed.follow_prompts(PromptFilter("default", viewer=BOB), note)
        first = await here.ask(job, "a")
        await other.take(taken(announced))
        assert shown == [], "this change is late"
        await read_log(other.feed)
        assert shown == [first.prompt_id]
        second = await here.ask(job, "b")
        await other.take(taken(announced))
        assert shown == [first.prompt_id, second.prompt_id]


async def read_log(feed: Feed) -> None:
    """Read up to the newest event; on PostgreSQL another test may hold the horizon back."""

    async def reached() -> bool:
        await feed.read()
        newest, _ = await feed._log.after(feed.position, 1, settled=False)
        return not newest

    await until(reached)


async def test_repeated_and_late_announcements_are_not_read_again(
    here: Node, announced: list[Announcement], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replica_beside(here, monkeypatch) as other:
        other.feed.follow_prompts(PromptFilter("default", viewer=BOB), nothing)
        job = await here.lease_new_job()
        await trip(here, job, "a")
        first = taken(announced)
        await other.take(first)
        other.reset()
        await other.take(first)
        await other.take(reversed(first))
        assert other.statements == 0
