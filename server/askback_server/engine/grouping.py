"""Groups the commands of a batch by job, decides them in order, and folds them into one guarded write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from askback_server.domain import commands as c
from askback_server.domain.absences import NO_ABSENCES, Absences
from askback_server.domain.aggregate import Aggregate, Change, Facts, assume_attended
from askback_server.domain.apply import apply
from askback_server.domain.commands import Command, SessionRef
from askback_server.domain.electorate import UNKNOWN, Electorate
from askback_server.domain.errors import AskbackError, Contention
from askback_server.domain.forms import Unjudged
from askback_server.domain.jobs import Job
from askback_server.domain.limits import Limits
from askback_server.domain.prompts import Prompt
from askback_server.domain.rules import NO_RULES, RuleBook
from askback_server.engine.committed import Committed
from askback_server.engine.linking import link_events
from askback_server.engine.needs import add_needs
from askback_server.ports.clock import uuid7
from askback_server.ports.storage import JobWrite, Wanted

_NOTHING = Aggregate()


@dataclass(slots=True, eq=False)
class Item:
    """A queued command and the future of its reply."""

    command: Command[object]
    reply: asyncio.Future[Any]
    """`Engine.submit` ties its type to the command's. Here it is `Any`, because a batch mixes commands."""
    command_id: str = field(default_factory=uuid7)
    tries: int = 0
    size: int = field(init=False)
    """About how many bytes the command writes."""

    def __post_init__(self) -> None:
        self.size = self.command.size

    def fail(self, error: BaseException) -> None:
        """Pass an error to the caller.

        An exception that is not an AskbackError is a bug. The transport logs it with an id and replies
        INTERNAL, so that clients do not retry it.
        """
        if not self.reply.done():
            self.reply.set_exception(error)
            self.reply.exception()  # mark as retrieved: the caller may be gone


@dataclass(frozen=True, slots=True)
class ChosenLease:
    """A lease of a job that is not written yet, and the future of its outcome."""

    command: c.LeaseJob
    reply: asyncio.Future[Job]


ChooseWorker = Callable[[Job], ChosenLease | None]
"""Chooses a worker for a job that a write makes claimable. None: the job waits for its turn."""


def choose_none(_: Job) -> ChosenLease | None:
    """Without a dispatcher every job waits."""
    return None


@dataclass(slots=True, eq=False)
class Group:
    """All commands of a batch on one aggregate, and the outcome of deciding them."""

    wanted: Wanted
    items: list[Item] = field(default_factory=list)
    aggregate: Aggregate = _NOTHING
    fresh: bool = False
    """Whether the aggregate was read from the database for this batch. A decision without a write needs that:
    nothing else would notice that the cache was stale."""
    replies: list[tuple[Item, object, AskbackError | None]] = field(init=False)
    """Set by `decide`, as are `unjudged` and `deferred`."""
    unjudged: list[tuple[Item, str, Unjudged]] = field(init=False)
    """Answers to decide again once their values have been judged, with the job's namespace."""
    deferred: list[Item] = field(init=False)
    """Items whose guard conflicts with this write's. They come first in the next batch."""
    write: JobWrite | None = None
    after: Aggregate = _NOTHING
    lease: Item | None = None
    """The lease of the job that the write makes claimable, as a part of the write."""
    dead_sessions: frozenset[SessionRef] = frozenset()
    """Sessions known to have expired, from guards that failed."""
    electorate: Electorate = UNKNOWN
    rules: RuleBook = NO_RULES
    absences: Absences = NO_ABSENCES
    reread: bool = False
    """Read the aggregate from the database, even if it is in memory."""
    stale_rules: bool = False
    """Read the rules again: a write that used one was refused."""

    @property
    def is_proven(self) -> bool:
        """Whether the decisions are safe to reply: proven by the write's guard, or made on fresh data."""
        return self.write is not None or self.fresh

    def decide(
        self, now: datetime, limits: Limits, attended: Callable[[Prompt], bool] = assume_attended
    ) -> Iterator[Item]:
        """Decide the commands in order. A refused command changes nothing.

        Yields each item before it is decided, so that the caller can yield to other tasks.
        """
        self.replies, self.deferred, self.unjudged, self.write = [], [], [], None
        self.after = self.aggregate
        for place, item in enumerate(self.items):
            yield item
            facts = Facts(
                now,
                limits,
                uuid7,
                item.command_id,
                self.dead_sessions,
                attended,
                self.electorate,
                self.rules,
                self.absences,
            )
            try:
                decided = apply(self.after, item.command, facts)
            except AskbackError as error:
                self.replies.append((item, None, error))
                continue
            except Unjudged as unjudged:
                job = self.after.job
                self.unjudged.append((item, job.namespace if job is not None else "", unjudged))
                continue
            change = decided.change
            if change is not None:
                if self._conflicts(change):
                    self.deferred = self.items[place:]
                    break
                self._fold(change)
                self.after = change.result()
            if isinstance(decided.reply, AskbackError):
                self.replies.append((item, None, decided.reply))
            else:
                self.replies.append((item, decided.reply, None))

    def lease_at_once(self, choose: ChooseWorker, now: datetime, limits: Limits) -> Item | None:
        """Lease the job as a part of the write, if it is claimable then and `choose` finds a worker.

        Not if the write is guarded by another session, nor after a guard has failed: it may have been that of
        the lease. Returns the lease.
        """
        write, job = self.write, self.after.job
        if write is None or write.guard.session is not None or self.deferred or self.reread:
            return None
        if job is None or job.ready_at is None or job.ready_at > now:
            return None
        chosen = choose(job)
        if chosen is None:
            return None
        self.lease = Item(chosen.command, chosen.reply)
        facts = Facts(now, limits, uuid7, self.lease.command_id)
        try:
            decided = apply(self.after, chosen.command, facts)
        except AskbackError as error:
            self.lease.fail(error)
        else:
            assert decided.change is not None
            self._fold(decided.change)
            self.after = decided.change.result()
            self.replies.append((self.lease, decided.reply, None))
        return self.lease

    def fail_lease(self) -> None:
        """The write was not done: the job is decided again without its lease."""
        if self.lease is not None:
            self.lease.fail(Contention("the job was not written with this lease"))

    def _conflicts(self, change: Change) -> bool:
        mine = self.write.guard.session if self.write is not None else None
        other = change.guard.session
        if self.write is not None and self.write.deleted:
            return True
        # Two epochs of one session conflict as well: one of the two streams has lost the session.
        return mine is not None and other is not None and mine != other

    def _fold(self, change: Change) -> None:
        """Merge a change into the write: one final image per row, one guard, every event."""
        write = self.write
        if write is None:
            base = self.aggregate.job
            write = self.write = JobWrite(change.job, base.version if base else 0)
        write.job = change.job
        write.guard = write.guard.merge(change.guard)
        if change.guard.rules:
            self.rules.take(change.guard.rules)
        for prompt_id, prompt in change.prompts.items():
            before = self.aggregate.prompts.get(prompt_id)
            if before is None:
                write.new_prompts[prompt_id] = prompt
            else:
                write.changed_prompts[prompt_id] = (prompt, prompt.content is not before.content)
        write.submissions += change.submissions
        for checkpoint in change.checkpoints:
            write.checkpoints[checkpoint.key] = checkpoint
        write.understanding = change.understanding or write.understanding
        write.retry = change.retry or write.retry
        write.events += change.events
        write.deleted, write.in_steps = change.deleted, change.in_steps

    def link_events(self) -> None:
        """Chain the events of its write, which must be complete."""
        assert self.write is not None
        link_events(self.write, self.aggregate.job)

    def to_committed(self) -> Committed:
        """The committed change of its write."""
        assert self.write is not None
        write = self.write
        changed = [prompt for prompt, _ in write.changed_prompts.values()]
        prompts = (*write.new_prompts.values(), *changed)
        return Committed(write.job, prompts, tuple(write.events), write.deleted)


Places = Mapping[c.PromptRef, tuple[str, str]]
"""Job id and prompt id of prompts that exist."""


async def group_by_job(
    items: Sequence[Item], locate: Callable[[Sequence[c.PromptRef]], Awaitable[Places]]
) -> list[Group]:
    """Group a batch by aggregate."""
    refs = [item.command.ref for item in items if isinstance(item.command, c.OnPrompt)]
    places = await locate(refs) if refs else {}
    groups: dict[str | tuple[str, str], Group] = {}
    for item in items:
        command = item.command
        prompt_id = ""
        if isinstance(command, c.CreateJob):
            named = (command.namespace or command.principal.namespace(""), command.request_id)
            key: str | tuple[str, str] = named if command.request_id else item.command_id
            wanted = Wanted(request=named if command.request_id else None)
        elif isinstance(command, c.OnPrompt):
            job_id, prompt_id = places.get(command.ref, ("", ""))
            key, wanted = job_id or item.command_id, Wanted(job_id=job_id)
        else:
            assert isinstance(command, c.OnJob)
            key, wanted = command.job_id, Wanted(job_id=command.job_id, is_head=True)
        group = groups.get(key)
        if group is None:
            group = groups[key] = Group(wanted)
        add_needs(group.wanted, command, prompt_id)
        group.items.append(item)
    return list(groups.values())
