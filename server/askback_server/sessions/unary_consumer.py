"""LeaseJobs: a worker without a stream, as a `Consumer` that waits for a while."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection

from askback_server.domain.commands import ReleaseJob, SessionRef
from askback_server.domain.errors import AskbackError, StorageUnavailable
from askback_server.domain.jobs import Job
from askback_server.domain.principals import Principal
from askback_server.engine.dispatch import Dispatcher
from askback_server.engine.engine import Engine

READ_TIMEOUT = 5.0
"""Maximum seconds for reading the queues. A call with a shorter wait still gets the ready jobs."""


class UnaryConsumer:
    """Collects up to `maximum` jobs for one call."""

    def __init__(
        self,
        principal: Principal,
        session: SessionRef,
        worker_id: str,
        namespace: str,
        job_types: frozenset[str],
        maximum: int,
    ) -> None:
        self.principal = principal
        self.session = session
        self.worker_id = worker_id
        self.namespace = namespace
        self.job_types = job_types
        self._maximum = maximum
        self._reserved = 0
        self.jobs: list[Job] = []
        self._unread = set(job_types)
        """Job types whose queues have not been read for it yet."""
        self._changed = asyncio.Event()
        self._give_back: Callable[[Job], None] | None = None
        """Set when the call has ended: leases that are committed for it later are released at once."""

    def room(self) -> int:
        """The number of further jobs that it can take now."""
        return self._maximum - len(self.jobs) - self._reserved

    def reserve(self, change: int) -> None:
        """Count lease attempts in progress: +1 when one begins, -1 when it is decided."""
        self._reserved += change
        self._changed.set()

    def accept_lease(self, job: Job) -> None:
        """Take over a leased job."""
        if self._give_back is not None:
            self._give_back(job)
            return
        self.jobs.append(job)
        self._changed.set()

    def note_queues_read(self, job_types: Collection[str]) -> None:
        """Note that these queues have been read for it; each job that it gets from them is already
        reserved."""
        self._unread.difference_update(job_types)
        self._changed.set()

    async def collect(
        self,
        dispatcher: Dispatcher,
        engine: Engine,
        wait: float,
        extend: Callable[[], Awaitable[None]],
        every: float,
    ) -> list[Job]:
        """Wait up to `wait` seconds for the first job, then for the lease attempts in progress.

        The queues are read at least once, however short the wait: an empty reply means that there was no job.
        Raises StorageUnavailable if they cannot be read within READ_TIMEOUT seconds.

        `extend` is called every `every` seconds, so that the session does not expire during the wait; its
        errors end the wait. If the caller goes away, its leases are released: their jobs would not be run.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + wait
        dispatcher.add(self)
        try:
            await self._until(lambda: self._has_jobs or not self._unread, READ_TIMEOUT, extend, every)
            await self._until(lambda: self._has_jobs, end - clock(), extend, every)
            dispatcher.remove(self)
            while self._reserved:
                self._changed.clear()
                await self._changed.wait()
            if self._unread and not self.jobs:
                raise StorageUnavailable("the queues could not be read in time; call again")
        except (asyncio.CancelledError, AskbackError):
            dispatcher.remove(self)
            self.give_back(engine)
            raise
        return self.jobs

    @property
    def _has_jobs(self) -> bool:
        """Whether there is a job and no attempt in progress."""
        return bool(self.jobs) and not self._reserved

    async def _until(
        self, met: Callable[[], bool], seconds: float, extend: Callable[[], Awaitable[None]], every: float
    ) -> None:
        """Wait for a condition, at most `seconds`."""
        clock = asyncio.get_running_loop().time
        due = clock() + every
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not met():
                    self._changed.clear()
                    if clock() >= due or not await self._changes(due - clock()):
                        await extend()
                        due = clock() + every

    def give_back(self, engine: Engine) -> None:
        """Release the leases, and those committed from now on: they do not reach the worker."""

        def release(job: Job) -> None:
            with contextlib.suppress(AskbackError):  # otherwise they return when the session expires
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
