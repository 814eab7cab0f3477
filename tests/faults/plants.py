"""Planted bugs, installed into a replica at its start: the checker must find each of them.

Each declares the invariant it breaks and the database, faults and load that expose it. They patch the
running server from here; the server has no code for them.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from askback_server.domain import (
    aggregate,
    content,
    job_rules,
    life,
    prompt_rules,
    prompts,
    votes,
    worker_rules,
)
from askback_server.domain import commands as c
from askback_server.domain.aggregate import Change, RuleResult
from askback_server.domain.apply import RULES
from askback_server.domain.approvals import Missing
from askback_server.domain.events import EventType
from askback_server.domain.evolve import evolve
from askback_server.domain.jobs import JobState
from askback_server.domain.transitions import PromptTrigger
from askback_server.engine import hot_jobs, keeper, timers
from askback_server.feed import feed
from askback_server.ports.storage import Changed, Position, Written
from askback_server.sessions import prompt_follower, prompt_view, work_core
from askback_server.storage import event_feed, job_store, sqlite_rules, work_queue
from askback_server.storage.tables import events
from askback_server.transport import streams


@dataclass(frozen=True)
class Plant:
    """A planted bug."""

    invariant: int
    """The invariant that it breaks."""
    install: Callable[[], None]
    """Installs the bug in this process."""
    what: str
    """A description of the bug."""
    database: str = "sqlite"
    faults: tuple[str, ...] = ()
    """The faults that expose it."""
    client: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    slow_commits: str = ""
    seconds: float = 1.0
    """Of load. A bug that takes no fault shows in almost every job."""
    says: str = ""
    """Part of the expected violation text, so that the bug is not found by accident."""


PLANTS: dict[str, Plant] = {}


def plant(invariant: int, **more: Any) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a function that installs a bug under its own name; its docstring describes the bug."""

    def note(install: Callable[[], None]) -> Callable[[], None]:
        what = (install.__doc__ or "").strip().rstrip(".")
        PLANTS[install.__name__] = Plant(invariant, install, what, **more)
        return install

    return note


SLOW = {"slow_share": 0.25}


@plant(1, says="is not stored", faults=("kill_replica", "kill_replica", "kill_replica"), seconds=3.0)
def reply_before_commit() -> None:
    """Replies are sent before the write is committed."""
    write = job_store.Jobs.write
    kept = set()

    async def reply_at_once(this: Any, batch: Any) -> Written:
        async def later() -> None:
            await asyncio.sleep(0.3)
            with suppress(Exception):
                await write(this, batch)

        task = asyncio.create_task(later())
        kept.add(task)
        task.add_done_callback(kept.discard)
        return Written({}, datetime.now(UTC))

    job_store.Jobs.write = reply_at_once  # type: ignore[method-assign]


@plant(1, says="long after", database="postgresql", seconds=3.0)
def hot_store_without_invalidation() -> None:
    """Jobs in memory are not updated when another replica changes them."""
    hot_jobs.HotJobs.drop = lambda this, job_id: None  # type: ignore[method-assign]
    hot_jobs.HotJobs.learn = lambda this, job, changed, after: None  # type: ignore[method-assign]


@plant(2, says="answers were ACCEPTED")
def second_answer_accepted() -> None:
    """A second answer is reported as ACCEPTED too."""
    judged = prompt_rules.judge_answer

    def accept_closed(change: Change, command: Any, prompt: Any, digest: str) -> RuleResult:
        decided = judged(change, command, prompt, digest)
        if decided.reply.status is prompts.AnswerStatus.CLOSED:
            return replace(decided, reply=replace(decided.reply, status=prompts.AnswerStatus.ACCEPTED))
        return decided

    prompt_rules.judge_answer = accept_closed


@plant(3, says="and then")
def resend_without_dedupe() -> None:
    """A repeated answer is judged again instead of getting its first result."""
    rule = RULES[c.AnswerPrompt]

    def report_closed(known: Any, command: Any, facts: Any) -> RuleResult:
        decided = rule(known, command, facts)
        if decided.reply.replayed and not decided.reply.prompt.is_open:
            return replace(decided, reply=replace(decided.reply, status=prompts.AnswerStatus.CLOSED))
        return decided

    RULES[c.AnswerPrompt] = report_closed


@plant(
    4,
    says="lost token",
    faults=("freeze_worker", "freeze_worker"),
    client=SLOW,
    settings={"lease_ttl": 1},
    seconds=3.0,
)
def missing_fence() -> None:
    """Any worker may write to any job, whatever its fencing token."""
    worker_rules.fence = lambda *anything: None  # type: ignore[assignment, return-value]


@plant(5, says="not reaped", faults=("kill_worker",), client=SLOW, settings={"lease_ttl": 1}, seconds=3.0)
def session_never_reaped() -> None:
    """Jobs of a dead worker are never released."""

    async def idle(this: Any) -> None:
        """Do nothing."""

    keeper.SessionKeeper.reap = idle  # type: ignore[method-assign]


@plant(5, says="no worker runs it")
def holder_never_told() -> None:
    """A worker that waits for an answer does not receive it."""
    work_core.WorkCore._push_resolution = lambda this, held, prompt: None  # type: ignore[method-assign]


@plant(6, says="did not get prompt", faults=("kill_console", "kill_console"), client=SLOW, seconds=3.0)
def console_never_told_after_reconnect() -> None:
    """A new stream of a console does not get the prompts that are already open."""

    async def do_nothing(this: Any, after: Any) -> None:
        """Read no prompts, and treat the page as the last one."""

    prompt_follower.PromptFollower._read_page = do_nothing  # type: ignore[method-assign]


@plant(6, says="still waits for", database="postgresql", slow_commits="0.25,2.0", client=SLOW, seconds=6.0)
def serial_id_cursor() -> None:
    """The feed follows the serial id and so skips events that commit late."""

    async def by_id(
        this: Any, position: Position, limit: int, *, settled: bool = True
    ) -> tuple[list[Changed], Position]:
        statement = (
            sa.select(events.c.id, events.c.job_id, events.c.seq, events.c.prompt_id, events.c.namespace)
            .where(events.c.id > position.id)
            .order_by(events.c.id)
            .limit(limit)
        )
        found = await this._all(statement)
        if not found:
            return [], position
        by_job: dict[str, list[Any]] = {}
        for row in found:
            by_job.setdefault(row["job_id"], []).append(row)
        changed = [
            Changed(
                job_id,
                min(r["seq"] for r in rows) - 1,
                max(r["seq"] for r in rows),
                frozenset(r["prompt_id"] for r in rows if r["prompt_id"]),
                rows[0]["namespace"],
            )
            for job_id, rows in by_job.items()
        ]
        return changed, Position(0, found[-1]["id"])

    async def head(this: Any) -> Position:
        found = await this._all(sa.select(sa.func.max(events.c.id).label("id")))
        return Position(0, found[0]["id"] or 0)

    event_feed.EventFeed.after = by_id  # type: ignore[method-assign]
    event_feed.EventFeed.head = head  # type: ignore[method-assign]
    feed.Feed.receive = lambda this, announced: None  # type: ignore[method-assign]  # announcements would deliver the skipped events


@plant(7, says="in state")
def closed_prompt_shown() -> None:
    """A closed prompt is shown like a changed one."""
    offer = prompt_view.PromptView.offer

    def show(this: Any, prompt: Any) -> None:
        offer(this, prompt)
        if not prompt.is_open and this.filter.matches(prompt):
            this._pending[prompt.prompt_id] = prompt

    prompt_view.PromptView.offer = show  # type: ignore[method-assign]


@plant(7, says="not for it")
def foreign_audience_told() -> None:
    """Every console gets every prompt."""
    prompts.Prompt.is_for = lambda this, principal: True  # type: ignore[method-assign]


@plant(8, says="did not get", faults=("cut_console", "cut_console"), client=SLOW, seconds=3.0)
def resume_token_skips() -> None:
    """A resumed stream reports that nothing was missed."""

    async def read_nothing(log: Any, position: Any) -> dict[str, Any]:
        return {}

    prompt_follower.read_missed = read_nothing


@plant(9, says="in place of")
def seq_gap() -> None:
    """Some events skip a sequence number."""
    event = Change.record

    def skip_number(this: Any, type: EventType, *more: Any) -> int:
        if type is EventType.JOB_LEASED:
            this.job = evolve(this.job, version=this.job.version + 1)
        return event(this, type, *more)

    Change.record = skip_number  # type: ignore[method-assign]


@plant(10, says="before its time")
def timeout_without_condition() -> None:
    """Deadlines fire without a check of the time."""
    add, early = timers.Timers._add, timedelta(seconds=0.25)

    def add_early(this: Any, when: datetime, kind: str, job_id: str) -> None:
        add(this, when - early if kind == "due" else when, kind, job_id)

    def run_overdue(change: Change) -> None:
        for prompt in change.open:
            if prompt.expires_at is not None and prompt.expires_at - early <= change.facts.now:
                life.close_prompt(change, prompt, PromptTrigger.EXPIRE)

    timers.Timers._add = add_early  # type: ignore[method-assign]
    for module in (job_rules, prompt_rules):
        module.run_overdue = run_overdue


@plant(10, says="and then", client={"cancel_share": 0.4})
def terminal_state_changes() -> None:
    """A completed job can still be cancelled."""
    cancel = RULES[c.CancelJob]

    def anyway(known: Any, command: Any, facts: Any) -> RuleResult:
        if known.job is None or known.job.state is not JobState.COMPLETED:
            return cancel(known, command, facts)
        change = Change(known, facts, command.principal.subject)
        change.set(state=JobState.CANCELLED)
        change.record(EventType.JOB_CANCELLED, None, {})
        return RuleResult(change.job, change)

    RULES[c.CancelJob] = anyway


@plant(11, says="is lost")
def created_job_lost() -> None:
    """One creation in twenty is confirmed but not written."""
    write, rng = job_store.Jobs.write, random.Random(1)

    async def drop_creations(this: Any, batch: Any) -> Written:
        kept = [w for w in batch if w.expected or rng.random() > 0.05]
        return await write(this, kept) if kept else Written({}, datetime.now(UTC))

    job_store.Jobs.write = drop_creations  # type: ignore[method-assign]


@plant(11, says="jobs", client={"twice_share": 0.3})
def request_not_deduplicated() -> None:
    """A repeated request creates another job."""
    create, numbers = RULES[c.CreateJob], itertools.count()

    def create_again(known: Any, command: Any, facts: Any) -> RuleResult:
        named = replace(command, request_id=f"{command.request_id}#{next(numbers)}")
        return create(aggregate.Aggregate(), named, facts)

    RULES[c.CreateJob] = create_again


@plant(12, says="log", client=SLOW, settings={"sweep_interval": 0.5}, seconds=3.0)
def retention_ignores_tokens() -> None:
    """Events are deleted by age, even if they are still needed."""

    async def drop(this: Any, keep: datetime, limit: int) -> int:
        before = datetime.now(UTC) - timedelta(seconds=1)
        found = await this._all(this._dialect.last_to_drop(before, limit))
        last = Position(found[0]["xid"], found[0]["id"]) if found else Position()
        return int(await this._dialect.drop_events(before, last))

    work_queue.WorkQueueStore.drop_events = drop  # type: ignore[method-assign]


RIGHTS = {"rights_share": 1.0}


@plant(14, says="needs 2 people", client=RIGHTS, seconds=2.0)
def quorum_of_one() -> None:
    """One vote decides, however many people are needed."""

    def count(outcome: str, given: tuple[votes.Vote, ...], approval: Any) -> votes.Count:
        decision = given[0].answer.decision
        return votes.Count(outcome, decision, given, approval.required, Missing(0, {}))

    votes._count = count


@plant(14, says="is excluded", client=RIGHTS, seconds=2.0)
def excluded_person_answers() -> None:
    """Exclusions are not checked."""
    prompts.Prompt.excludes = lambda this, principal: False  # type: ignore[method-assign]
    content.PromptContent.excludes_author = lambda this, subject: False  # type: ignore[method-assign]


@plant(14, says="had transferred", client=RIGHTS, seconds=3.0)
def transferred_right_is_kept() -> None:
    """A person that has transferred its right keeps it."""
    right_of = content.PromptContent.right_of

    def keep(this: Any, subject: str, groups: frozenset[str]) -> Any:
        found = right_of(this, subject, groups)
        return content.Right(subject, None) if found is None and subject in this.audience.users else found

    content.PromptContent.right_of = keep  # type: ignore[method-assign]


@plant(14, says="was used", client=RIGHTS, seconds=3.0)
def uses_of_rules_not_counted() -> None:
    """A rule is used more often than it may."""
    sqlite_rules.RuleGuards.count_uses = lambda this, written: None  # type: ignore[method-assign]


@plant(13, says="streams")
def stuck_stream_at_end() -> None:
    """The handler of a stream does not end with the stream."""
    run = streams._Stream.run

    async def run_forever(this: streams._Stream) -> None:
        try:
            await run(this)
        finally:
            while True:
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()

    streams._Stream.run = run_forever  # type: ignore[method-assign]
