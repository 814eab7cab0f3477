"""LeaseJobs: a worker without a stream, as a Taker that waits a while."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from askback_server.domain.commands import ReleaseJob, SessionRef
from askback_server.domain.errors import AskbackError
from askback_server.domain.jobs import Job
from askback_server.domain.principals import Principal
from askback_server.engine.dispatch import Dispatcher
from askback_server.engine.engine import Engine


class UnaryTaker:
    """Takes up to `most` jobs for one call."""

    def __init__(
        self,
        principal: Principal,
        session: SessionRef,
        worker_id: str,
        namespace: str,
        job_types: frozenset[str],
        most: int,
    ) -> None:
        self.principal = principal
        self.session = session
        self.worker_id = worker_id
        self.namespace = namespace
        self.job_types = job_types
        self._most = most
        self._reserved = 0
        self.jobs: list[Job] = []
        self._changed = asyncio.Event()
        self._give_back: Callable[[Job], None] | None = None
        """Set when the caller went away: what is still leased for it goes back at once."""

    def room(self) -> int:
        """How many more jobs it takes now."""
        return self._most - len(self.jobs) - self._reserved

    def reserve(self, change: int) -> None:
        """A lease is being tried, or is decided."""
        self._reserved += change
        self._changed.set()

    def leased(self, job: Job) -> None:
        """The job is its own."""
        if self._give_back is not None:
            self._give_back(job)
            return
        self.jobs.append(job)
        self._changed.set()

    async def collect(
        self,
        dispatcher: Dispatcher,
        engine: Engine,
        wait: float,
        extend: Callable[[], Awaitable[None]],
        every: float,
    ) -> list[Job]:
        """Wait up to `wait` seconds for the first job, then for what is being decided.

        The session shall not expire under a worker that waits for longer than it lives: `extend` is called
        after `every` seconds without news, and what it raises ends the wait.
        If the caller goes away, what was leased for it is released: nobody would run it.
        """

        dispatcher.add(self)
        try:
            try:
                async with asyncio.timeout(wait or 0.05):
                    while not self.jobs or self._reserved:
                        self._changed.clear()
                        if not await self._changes(every):
                            await extend()
            except TimeoutError:
                pass
            dispatcher.remove(self)
            while self._reserved:
                self._changed.clear()
                await self._changed.wait()
        except (asyncio.CancelledError, AskbackError):
            dispatcher.remove(self)
            self.give_back(engine)
            raise
        return self.jobs

    def give_back(self, engine: Engine) -> None:
        """Release what was leased, and what still will be: it does not reach the worker."""

        def release(job: Job) -> None:
            with contextlib.suppress(AskbackError):  # then its session expires
                engine.submit(
                    ReleaseJob(
                        principal=self.principal, job_id=job.job_id, token=job.token, session=self.session
                    )
                )

        self._give_back = release
        for job in self.jobs:
            release(job)

    async def _changes(self, within: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._changed.wait()
        return self._changed.is_set()
