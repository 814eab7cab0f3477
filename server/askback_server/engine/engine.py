"""Commands -> group commit -> replies: the single write path (docs/design.md 4).

    decide    each waiting command on its aggregate, in memory
    write     all decisions as one durable, guarded, set-based write
    settle    decide again, on fresh data, the commands whose guard failed
    reply     after the commit; then publish the changes

No delay is added when idle: a lone command is written at once. Under load a batch contains the commands
queued during the previous commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import TypeVar

from askback_server.domain import commands as c
from askback_server.domain.absences import Absences, no_absences
from askback_server.domain.aggregate import assume_attended
from askback_server.domain.deletion_rules import DeletionUnfinished
from askback_server.domain.errors import (
    AskbackError,
    Contention,
    Draining,
    InvalidArgument,
    OutcomeUnknown,
    QueueFull,
    SessionMoved,
)
from askback_server.domain.forms import Judgement
from askback_server.domain.limits import Limits
from askback_server.domain.prompts import Prompt
from askback_server.engine.batch_reads import NO_RULE_SOURCE, BatchReads, RuleSource
from askback_server.engine.command_queue import MAX_COMMANDS, CommandQueue
from askback_server.engine.committed import Committed
from askback_server.engine.electorate import ReadElectorate, read_nothing
from askback_server.engine.grouping import ChooseWorker, Group, Item, choose_none, group_by_job
from askback_server.engine.hot_jobs import HotJobs
from askback_server.engine.judges import Judges
from askback_server.engine.observer import NullObserver, Observer
from askback_server.ports.clock import DatabaseClock
from askback_server.ports.storage import BadData, JobStore, Lost, UnknownOutcome, Wanted

_log = logging.getLogger("askback.server.engine")

R = TypeVar("R")

BATCH_COMMANDS, BATCH_BYTES = 256, 4 * 1024 * 1024
YIELD_BYTES = 32 * 1024
"""Bytes of decided commands after which the engine yields to the event loop: a batch of large ones must not
block it."""
READ_AHEAD_JOBS = 64
"""Jobs that are read ahead by one statement. Calls are served between two of them."""
MAX_RETRIES = 3  # how often a command is decided again after a failed guard


class Engine:
    """Executes commands. `run()` is the only writer of job data in this process."""

    def __init__(
        self,
        store: JobStore,
        clock: DatabaseClock,
        limits: Limits,
        hot: HotJobs,
        publish: Callable[[Sequence[Committed]], None],
        *,
        batch_commands: int = BATCH_COMMANDS,
        queue: int = MAX_COMMANDS,
        observer: Observer | None = None,
        judges: Judges | None = None,
        attended: Callable[[Prompt], bool] = assume_attended,
        read_electorate: ReadElectorate = read_nothing,
        absences: Callable[[], Absences] = no_absences,
        rules: RuleSource = NO_RULE_SOURCE,
    ) -> None:
        """`attended` tells whether a console shows a prompt to a reviewer, `absences` who is away."""
        self._store = store
        self._clock = clock
        self.limits = limits
        self.hot = hot
        self._publish = publish
        self._batch_commands = batch_commands
        self._observer = observer or NullObserver()
        self._queue = CommandQueue(queue)
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._decided = 0
        self._judges = judges or Judges()
        self._attended = attended
        self._reads = partial(BatchReads, store, hot, read_electorate, rules, absences)
        self._choose_worker: ChooseWorker = choose_none
        self._leases: list[Item] = []
        """Leases of the current batch that are a part of the write which makes their job claimable."""

    def lease_at_once(self, choose: ChooseWorker) -> None:
        """Lease each job in the write that makes it claimable, if `choose` finds a worker for it."""
        self._choose_worker = choose

    async def execute(self, command: c.Command[R]) -> R:
        """Submit a command and wait for its reply.

        Raises the errors of the rules, and QueueFull, Draining, Contention, StorageUnavailable. Cancelling
        the caller does not withdraw the command.
        """
        # Cancelling the caller cancels only its future: the command stays in the queue.
        return await self.submit(command)

    def submit(self, command: c.Command[R]) -> asyncio.Future[R]:
        """Queue a command. The future gets the reply after the commit. Raises QueueFull, Draining."""
        if self._draining:
            raise Draining("this replica is shutting down; reconnect and send it again")
        if not self._queue.has_room(command):
            raise QueueFull("too much waits to be written; send it again a little later")
        reply: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._queue.append(Item(command, reply))
        self._idle.clear()
        self._wake.set()
        return reply

    async def read_ahead(self, job_ids: Sequence[str]) -> None:
        """Read jobs into memory, unless they are there, because commands on them are about to come in this
        order. Only as many as half of the memory holds: further ones would displace the first.

        Raises StorageUnavailable.
        """
        reads = BatchReads(self._store, self.hot)
        room = self.hot.max_bytes // 2
        for start in range(0, len(job_ids), READ_AHEAD_JOBS):
            some = [Group(Wanted(job_id=id)) for id in job_ids[start : start + READ_AHEAD_JOBS]]
            await reads.fill(some)
            room -= sum(group.aggregate.size for group in some)
            if room <= 0:
                return

    async def run(self) -> None:
        """Write batches until cancelled. A failed batch fails only its own commands."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._run_batch()
            if not self._judges.busy:
                self._idle.set()

    async def _run_batch(self) -> None:
        """Write the next batch. Its commands are in this frame only: between two batches none is kept."""
        items = self._queue.take(self._batch_commands, BATCH_BYTES)
        self._observer.on_batch(len(items))
        try:
            await self._process(items)
        except Exception as error:
            if isinstance(error, AskbackError):
                _log.warning("a batch of %d commands was not written: %s", len(items), error)
            else:
                _log.exception("a batch of %d commands failed", len(items))
            self._observer.on_failure(len(items))
            for item in (*items, *self._leases):
                item.fail(error)
        finally:
            self._leases.clear()

    def close(self) -> None:
        """Stop the process that judges large answers."""
        self._judges.close()

    async def drain(self) -> None:
        """Refuse new commands, then wait until all queued ones are written and replied to."""
        self._draining = True
        await self._idle.wait()

    @property
    def idle(self) -> bool:
        """Whether every submitted command has been written and replied to."""
        return self._idle.is_set()

    @property
    def waiting(self) -> int:
        """The number of queued commands."""
        return len(self._queue)

    async def _process(self, items: Sequence[Item]) -> None:
        reads = self._reads()
        groups = await group_by_job(items, reads.locate)
        while groups:
            await reads.fill(groups)
            for group in groups:
                now = self._clock.now()
                for item in group.decide(now, self.limits, self._attended):
                    self._decided += item.size
                    if self._decided >= YIELD_BYTES:
                        # In bytes, not seconds: simulated runs (tests/simulate) depend on their seed only.
                        self._decided = 0
                        await asyncio.sleep(0)
                if (lease := group.lease_at_once(self._choose_worker, now, self.limits)) is not None:
                    self._leases.append(lease)
            writes = [g for g in groups if g.write is not None]
            if writes:
                try:
                    for group in writes:
                        group.link_events()
                    lost = await self._write(writes)
                except BadData as error:
                    for group in groups:
                        group.fail_lease()
                    await self._isolate([i for g in groups for i in g.items], error)
                    return
            else:
                lost = {}
            again: list[Group] = []
            done: list[Committed] = []
            for group in groups:
                if not group.is_proven:
                    again.append(self._retry_reread(group))
                elif group.write is not None and (why := lost.get(group.write.job.job_id)):
                    retry = self._retry_lost(group, why)
                    if retry is not None:
                        again.append(retry)
                else:
                    self._settle(group, done)
            # Set the replies first: their receivers run only when this task yields, and by then the
            # publication below has reached the outboxes of the sessions too.
            if done:
                self._publish(done)
                self._observer.on_commit(done)
            groups = again

    async def _write(self, groups: Sequence[Group]) -> dict[str, Lost]:
        started, asked = perf_counter(), self._clock.now()
        try:
            written = await self._store.write([g.write for g in groups if g.write is not None])
        except UnknownOutcome as error:
            # The cached state of these jobs may be wrong until they are read again.
            for group in groups:
                if group.write is not None:
                    self.hot.drop(group.write.job.job_id)
            raise OutcomeUnknown from error
        self._clock.compare(asked, written.now)
        # A step of a deletion fails no guard.
        failed = [why for why in written.lost.values() if why is not Lost.PARTLY]
        self._observer.on_write(perf_counter() - started, failed)
        return written.lost

    def _settle(self, group: Group, done: list[Committed]) -> None:
        if group.write is not None:
            committed = group.to_committed()
            done.append(committed)
            if committed.deleted:
                self.hot.drop(committed.job.job_id)
            else:
                self.hot.put(group.after)
        for item, reply, error in group.replies:
            if error is not None:
                item.fail(error)
            elif not item.reply.done():
                item.reply.set_result(reply)
        self._queue.put_back(group.deferred)
        for item, namespace, unjudged in group.unjudged:
            subject = item.command.principal.subject
            self._judges.start(subject, namespace, unjudged, partial(self._resubmit, item))

    def _resubmit(self, item: Item, found: Judgement | Exception) -> None:
        """Queue an answer again once its values have been judged."""
        if isinstance(found, Exception):
            item.fail(found)
        else:
            assert isinstance(item.command, c.AnswerPrompt)
            item.command = replace(item.command, judgement=found)
            self._queue.append(item)
        self._wake.set()

    def _retry_reread(self, group: Group) -> Group:
        """A retry on data read from the database: a refusal must not rest on the cache alone."""
        return Group(group.wanted, group.items, reread=True)

    def _retry_lost(self, group: Group, why: Lost) -> Group | None:
        """Handle a failed guard: fail what cannot succeed, and return a retry of the rest, if any."""
        assert group.write is not None
        self.hot.drop(group.write.job.job_id)
        group.fail_lease()
        # Deferred items had a guard that conflicts with this write's: they have not been tried yet.
        self._queue.put_back(group.deferred)
        items = []
        session = group.write.guard.session
        for item in group.items[: len(group.items) - len(group.deferred)]:
            item.tries += 1
            if why is Lost.PARTLY and isinstance(item.command, c.PurgeJob):
                # The sweep decides when the next step is due. What else came for the job is decided again.
                item.fail(DeletionUnfinished())
            elif why is Lost.MOVED and getattr(item.command, "session", None) == session:
                # The worker still holds the job, over a newer stream, and sends the command again there.
                item.fail(SessionMoved())
            elif item.tries > MAX_RETRIES:
                item.fail(Contention("others changed the job at the same time; send it again"))
            else:
                items.append(item)
        if not items:
            return None
        stale_rules = bool(group.write.guard.rules)
        retry = Group(group.wanted, items, reread=True, stale_rules=stale_rules)
        if why is Lost.SESSION and session is not None:
            retry.dead_sessions = group.dead_sessions | {session}
        return retry

    async def _isolate(self, items: Sequence[Item], error: BadData) -> None:
        """Find the command whose data the database refuses, by halving the batch, and fail only that one."""
        if len(items) == 1:
            _log.warning("the database refused the data of %s: %s", type(items[0].command).__name__, error)
            items[0].fail(InvalidArgument("the database cannot store this; check texts and numbers"))
            return
        middle = len(items) // 2
        await self._process(items[:middle])
        await self._process(items[middle:])
