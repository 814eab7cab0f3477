"""A follower frees a page that it has delivered before it waits for room for the next one. Otherwise a
thousand waiting streams would keep a thousand pages.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from askback_server.domain.content import PromptContent
from askback_server.domain.jobs import Job, JobState
from askback_server.domain.prompts import Prompt, PromptState
from askback_server.feed.tokens import ResumeTokens
from askback_server.ports.queries import JobFilter, JobsPage, PromptFilter, PromptsPage
from askback_server.ports.storage import Position
from askback_server.sessions.admission import Admission
from askback_server.sessions.images import Images
from askback_server.sessions.jobs_follower import JobsFollower
from askback_server.sessions.memory_budget import Account, MemoryBudget
from askback_server.sessions.prompt_follower import PromptFollower
from askback_server.sessions.prompt_view import PromptView
from askback_server.sessions.watch import Watch

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SHARE = 1024 * 1024
MARK = "a page of the test for followed pages"


class Store:
    """An endless log of pages. After each page the principal has no room for another one."""

    def __init__(self, unsent: MemoryBudget) -> None:
        self._unsent = unsent
        self._pages = 0

    async def _next(self) -> range:
        self._pages += 1
        self._unsent.account("eve", print).add(SHARE)
        return range(10 * self._pages, 10 * self._pages + 10)

    async def list_jobs(self, *_: Any) -> JobsPage:
        jobs = [
            Job(f"j{n}", MARK, "t", "ada", JobState.PENDING, NOW, NOW, version=1) for n in await self._next()
        ]
        return JobsPage(tuple(jobs), "next")

    async def list_prompts(self, *_: Any) -> PromptsPage:
        content = PromptContent("confirm", "?")
        prompts = [
            Prompt(f"p{n}", "j", MARK, "t", "k", n, 1, 1, PromptState.PENDING, content, "", "", NOW, NOW)
            for n in await self._next()
        ]
        return PromptsPage(tuple(prompts), (0, None, "~"))

    async def first_prompts(self, ids: list[str], _: int) -> tuple[list[Prompt], int]:
        page = await self.list_prompts()
        return list(page.prompts), min(10, len(ids))


class Nothing:
    """A feed without commits, and its log."""

    position = Position()

    def follow(self, *_: Any) -> Any:
        return lambda: None

    follow_position = follow_jobs = follow_prompts = follow


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def count_kept() -> int:
    """The number of jobs and prompts from the pages that are still in memory."""
    return sum(isinstance(o, Job | Prompt) and o.namespace == MARK for o in gc.get_objects())


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def around() -> tuple[Store, Account, list[Any]]:
    unsent = MemoryBudget(10**9, SHARE)
    store, nothing = Store(unsent), Nothing()
    return store, unsent.account("eve", print), [nothing, nothing, store, ResumeTokens(b"key", "epoch")]


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.parametrize("what", ["the snapshot", "what the console has"])
async def test_a_page_of_prompts_is_freed_while_the_follower_waits(no_collector: None, what: str) -> None:
    _, account, followed = around()
    view = PromptView(PromptFilter(MARK))
    follower = PromptFollower(view, *followed, Admission(8), Images(10**9), account, asyncio.Event())
    if what == "what the console has":
        for n in range(600):
            view._sent[f"p{n}"] = 2
    async with running(follower.follow("")):
        await turns()
        assert count_kept() >= 10 or view.sent_ids
        while view.take(100, lambda: ""):
            follower.note_written()
        await turns()
        assert account._of._waiting, "it waits for room"
        assert count_kept() == 0
    follower.detach()


async def test_a_page_of_jobs_is_freed_while_the_follower_waits(no_collector: None) -> None:
    _, account, followed = around()
    feed, log, jobs, tokens = followed
    filter, images = JobFilter(MARK), Images(10**9)
    follower = JobsFollower(filter, "eve", feed, log, jobs, tokens, Watch(), Admission(8), images, account)
    told: list[int] = []

    async def follow() -> None:
        async for news in follower.news(""):
            told.append(len(news.jobs))
            del news

    async with running(follow()):
        await turns()
        assert told == [10]
        assert account._of._waiting, "it waits for room"
        assert count_kept() == 0
