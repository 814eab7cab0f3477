"""Drives a `WorkCore`: opens or resumes the session, takes leases, follows the held jobs.

A session outlives its stream. When a stream ends without a goodbye, the worker may reconnect and resume the
session, with all its jobs, until it expires.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Protocol

from askback_server.domain.commands import ReleaseJob, SessionRef
from askback_server.domain.errors import AskbackError, SessionNotFound
from askback_server.domain.jobs import Job, JobState
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import Prompt
from askback_server.engine.committed import Committed
from askback_server.engine.dispatch import Dispatcher
from askback_server.engine.engine import Engine
from askback_server.engine.keeper import LiveSession, SessionKeeper
from askback_server.ports.worker_sessions import Doubt, SessionStore
from askback_server.sessions.access import Access
from askback_server.sessions.drop_leases import drop_leases
from askback_server.sessions.frames import Call, ClientFrame, Goodbye, Heartbeat, ServerFrame
from askback_server.sessions.job_follower import IDLE_SECONDS
from askback_server.sessions.lease_book import HeldJob
from askback_server.sessions.lease_data import is_complete, read_lease_data, read_overtaken
from askback_server.sessions.opening import open_session
from askback_server.sessions.receipts import ReceiptWatch
from askback_server.sessions.small_event import SmallEvent
from askback_server.sessions.stream_session import MAX_FRAMES, ErrorMapper, Handler, StreamDeps, StreamSession
from askback_server.sessions.work_core import NotRun, WorkCore
from askback_server.sessions.work_frames import Capacity, JobLeased, WorkHello, WorkWelcome

_log = logging.getLogger("askback.server.sessions")


class WorkDeps(StreamDeps, Protocol):
    """What a worker's stream needs in addition."""

    engine: Engine
    dispatcher: Dispatcher
    keeper: SessionKeeper
    sessions: SessionStore


class WorkSession(StreamSession):
    """A worker's stream, and a `Consumer` of the dispatcher."""

    def __init__(
        self, deps: WorkDeps, access: Access, handler: Handler, to_caller_error: ErrorMapper
    ) -> None:
        self._deps = deps
        # A long lease needs few heartbeats, but proxies cut silent streams.
        self._core = WorkCore(deps.limits, min(deps.keeper.heartbeat_interval, IDLE_SECONDS))
        super().__init__(self._core.stream, deps, access, handler, to_caller_error)
        self.principal = access.principal
        access.follow(self._change_access, self.principal)
        self._stops: dict[str, Callable[[], None]] = {}
        self._opened = False
        self._waits_for_room = False
        self._ready = SmallEvent()
        self._early: list[tuple[int, Call]] = []
        """Calls received before the session was open."""
        self._decided = SmallEvent()
        self._decided.set()
        self._live: LiveSession | None = None
        self._receipts = ReceiptWatch(
            self._core.leases, deps.clock, deps.keeper.heartbeat_interval, self._drop
        )
        self.session = SessionRef("", 0)
        self.worker_id = ""
        self.namespace = ""
        self.job_types: frozenset[str] = frozenset()

    def _change_access(self, principal: Principal) -> None:
        """Apply a changed access. Raises PermissionDenied if the worker has lost its permission."""
        principal.require(Role.WORKER)
        if self.namespace:
            principal.namespace(self.namespace)
        self.principal = principal

    # Methods of `Consumer`.

    def room(self) -> int:
        """How many more jobs it can take now: none while the worker is silent or does not read."""
        if not self._opened or self._ended or (self._live is not None and self._live.is_silent):
            return 0
        if self.is_full:
            self._waits_for_room = True
            return 0
        return self._core.room()

    def _update_account(self) -> None:
        super()._update_account()
        if self._waits_for_room and not self.is_full:
            self._waits_for_room = False
            self._deps.dispatcher.wake(self.namespace)

    def reserve(self, change: int) -> None:
        """Count lease attempts in progress: +1 when one begins, -1 when it is decided."""
        self._core.reserved += change
        (self._decided.clear if self._core.reserved else self._decided.set)()

    def note_queues_read(self, job_types: Collection[str]) -> None:
        """Nothing to do: a stream waits for as long as it is open."""

    def accept_lease(self, job: Job) -> None:
        """Take over a leased job: follow it, then push it with its data."""
        if self._closed:
            # The session holds the job, and the worker gets it if it resumes.
            self._deps.keeper.doubt(self.session, {job.job_id: Doubt(job.token, job.version)})
            return
        self._core.hold(job, handed_over=False)
        self._follow(job.job_id)
        if is_complete(self._deps.feed, job):
            self._push(JobLeased(job))
        else:
            self._spawn(self._hand_over(job))

    async def _hand_over(self, job: Job) -> None:
        for again in await read_overtaken(self._deps.feed, self._deps.jobs, [job]):
            self._on_commit(Committed(again))
        await self._read_and_push(job)

    async def _read_and_push(self, job: Job) -> None:
        with self._account.charge(len(job.input_json)):  # until it is counted as a frame of the stream
            data = await read_lease_data(self._deps.jobs, job, self._deps.limits)
        self._push(data)

    def _push(self, data: JobLeased) -> None:
        self._core.hand_over(data, self._deps.clock.monotonic())
        self._receipts.arm()
        self._changed.set()

    def _follow(self, job_id: str) -> None:
        if job_id not in self._stops:
            self._stops[job_id] = self._deps.feed.follow_job(job_id, self._on_commit)

    def _on_commit(self, item: Committed) -> None:
        still_held = self._core.apply_commit(item)
        if not still_held:
            self._unfollow(item.job.job_id)
        if not still_held or item.job.state is not JobState.RUNNING:
            self._deps.dispatcher.wake(self.namespace)  # a job that waits for people makes room
        if self._core.has_news:
            self._changed.set()

    def _unfollow(self, *job_ids: str) -> None:
        for job_id in job_ids:
            if (stop := self._stops.pop(job_id, None)) is not None:
                stop()

    # Methods of `StreamSession`.

    def receive(self, frame: ClientFrame) -> None:
        """Take a frame. Raises BadHello, InvalidField, which end the stream."""
        todo = self._core.receive(frame)
        if self._opened:
            self._deps.keeper.note_heard(self.session)
        if isinstance(todo, WorkHello):
            self._spawn(self._admit(frame.ref, todo))
        elif isinstance(todo, Call):
            self._perform(frame.ref, todo)
        elif isinstance(todo, Capacity):
            self._deps.dispatcher.wake(self.namespace)
        elif isinstance(todo, NotRun):
            self._drop(todo.leases)
        elif isinstance(todo, Goodbye):
            self._spawn(self._leave())
        self._receipts.arm()
        self._changed.set()

    def _drop(self, leases: Sequence[HeldJob]) -> None:
        found = [(held.lease.job_id, held.lease.token, held.received) for held in leases]
        self._spawn(drop_leases(self._deps.engine, self.session, found))

    async def _admit(self, ref: int, hello: WorkHello) -> None:
        async with self._deps.admission.worker(self.principal.subject):
            await self._open(ref, hello)

    async def _open(self, ref: int, hello: WorkHello) -> None:
        deps = self._deps
        self.worker_id, self.namespace = hello.worker_id, hello.namespace
        self.job_types = hello.job_types
        row, secret, resumed = await open_session(deps, hello, self.principal.subject)
        self.session = SessionRef(row.session_id, row.epoch)
        lost: list[str] = []
        if resumed:
            lost = await self._resume(hello)
        welcome = WorkWelcome(
            row.session_id,
            secret,
            deps.keeper.heartbeat_interval,
            tuple(lost),
            resumed,
            deps.replica,
            deps.limits.in_flight,
            deps.max_message_bytes,
        )
        # The welcome comes before the missed events.
        frames = self._core.take(10_000)
        self._core.stream.push(welcome, ref)
        for frame in frames:
            self._core.stream.push(frame.body, frame.ref)
        self._live = LiveSession(self.session, self._on_session_lost, self._on_session_moved, row.expires_at)
        deps.keeper.keep(self._live)
        self._opened = self._core.serves = True
        self._ready.set()
        for early, call in self._early:
            self._perform(early, call)
        self._early.clear()
        deps.dispatcher.add(self)
        self._changed.set()

    async def _resume(self, hello: WorkHello) -> list[str]:
        """Hold the jobs of a resumed session. Returns those that the worker named and has lost."""
        deps = self._deps
        running = dict(hello.held)
        found = await deps.jobs.list_held(self.session.session_id)
        for job in found:
            self._core.hold(job, handed_over=False)
            self._follow(job.job_id)
        for again in await read_overtaken(deps.feed, deps.jobs, found):
            self._on_commit(Committed(again))
        leases = [held.lease for held in self._core.held.values()]
        received = [lease for lease in leases if running.get(lease.job_id) == lease.token]
        missed: dict[str, list[Prompt]] = {lease.job_id: [] for lease in received}
        closed = await deps.jobs.list_unconfirmed(list(missed))
        for prompt in sorted(closed, key=lambda prompt: prompt.prompt_id):  # as they were asked
            missed[prompt.job_id].append(prompt)
        for lease in received:
            self._core.resume(lease, missed[lease.job_id])
        not_received = [lease.job_id for lease in leases if lease.job_id not in missed]
        for job_id in not_received:  # push it (again)
            for again in await deps.jobs.get_jobs([job_id]):
                await self._read_and_push(again)
        return [job_id for job_id, token in running.items() if not self._core.leases.holds(job_id, token)]

    def _perform(self, ref: int, call: Call) -> None:
        if not self._opened:
            self._early.append((ref, call))
            return
        # The worker learns the end of the lease from the reply, not from a lost-lease frame as well.
        ending = self._core.ending(call)
        self._call(ref, call, None if ending is None else partial(self._lease_ended, ending))

    def _lease_ended(self, ending: HeldJob, error: AskbackError | None) -> None:
        ending.ending = False
        if error is None:
            self._core.forget(ending)
            if ending.lease.job_id not in self._core.held:  # it may have been leased again already
                self._unfollow(ending.lease.job_id)
            self._deps.dispatcher.wake(self.namespace)

    def _on_session_moved(self) -> None:
        """End this stream: another one has resumed the session. Running calls still get their replies."""
        self._core.detach()
        self._unfollow(*self._stops)
        self._deps.dispatcher.remove(self)
        self.end()

    def _on_session_lost(self) -> None:
        """Fail this stream: the session has expired."""
        self._core.lose_all()
        self._unfollow(*self._stops)
        self._failure = self._failure or SessionNotFound(self.session.session_id)
        self._changed.set()

    def end(self) -> None:
        """The worker sends no more frames. After a goodbye, `_leave` ends the stream."""
        if not self._core.stream.said_goodbye:
            super().end()

    async def _leave(self) -> None:
        """Say goodbye: release every job, then end the session and the stream."""
        self._deps.dispatcher.remove(self)
        await self._ready.wait()
        await self._decided.wait()
        held = list(self._core.held.values())
        releases = [
            ReleaseJob(principal=self.principal, job_id=i.job_id, token=i.token, session=self.session)
            for i in [h.lease for h in held]
        ]
        for h in held:
            self._core.forget(h)
        running = map(self._deps.engine.execute, releases)
        for h, result in zip(held, await asyncio.gather(*running, return_exceptions=True), strict=True):
            if isinstance(result, BaseException):
                text = "a job of a leaving worker was not released: %s"
                _log.info(text, result, extra={"job_id": h.lease.job_id, "worker_id": self.worker_id})
        self._deps.keeper.forget(self.session)
        await self._deps.sessions.close(self.session.session_id, self.session.epoch)
        super().end()

    def _take(self) -> list[ServerFrame]:
        if self._live is not None and self._core.stream.beat_due(self._deps.clock.monotonic()):
            self._core.stream.push(Heartbeat(time=self._live.expires_at))
        return self._core.take(MAX_FRAMES) if self._opened else []  # nothing comes before the welcome

    def close(self) -> None:
        """Release everything. The session remains until it expires, because the worker may resume it."""
        super().close()
        self._receipts.close()
        unreceived = [held.lease for held in self._core.leases.unreceived]
        self._deps.keeper.doubt(
            self.session, {lease.job_id: Doubt(lease.token, lease.version) for lease in unreceived}
        )
        self._deps.dispatcher.remove(self)
        self._deps.keeper.forget(self.session)
        self._live = None
        self._unfollow(*self._stops)
