"""The aggregate that rules decide on (a job with its prompts), and the change that a command makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Unpack

from askback_server.domain.absences import NO_ABSENCES, Absences
from askback_server.domain.commands import PromptRef, R, SessionRef
from askback_server.domain.electorate import UNKNOWN, Electorate
from askback_server.domain.errors import AskbackError, JobNotFound
from askback_server.domain.events import Event, EventType
from askback_server.domain.evolve import cached_property, evolve, fast_init, from_fields
from askback_server.domain.footprints import (
    ANSWER_BYTES,
    JOB_BYTES,
    bytes_of_prompt,
    bytes_of_texts,
    growth_of_prompt,
)
from askback_server.domain.job_values import JobFields
from askback_server.domain.jobs import Checkpoint, DeepUnderstanding, Job
from askback_server.domain.json_text import Json
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal
from askback_server.domain.prompts import Prompt, PromptState, Submission
from askback_server.domain.retries import CarriedAnswer, Retry
from askback_server.domain.rules import NO_RULES, RuleBook, RuleUse

ANY_EPOCH = 0  # in a SessionRef: any epoch of the session


def assume_attended(_: Prompt) -> bool:
    """Without presence tracking every prompt counts as attended."""
    return True


@fast_init
@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule may read besides the aggregate and the command."""

    now: datetime
    """An estimate of the database's clock. Rules that depend on it guard the write by it."""
    limits: Limits
    new_id: Callable[[], str]
    """Makes an id (UUIDv7)."""
    command_id: str
    """Marks the events of one command; a write whose outcome is unknown is found by it."""
    dead_sessions: frozenset[SessionRef] = frozenset()
    """Sessions whose guard has failed in this batch. With `ANY_EPOCH` the session has expired; else the
    stream of that epoch has lost it, and another stream may have resumed it."""
    attended: Callable[[Prompt], bool] = assume_attended
    """Whether a person who may answer the prompt is present."""
    electorate: Electorate = UNKNOWN
    """What the directory says of the people who are to approve, and of those who have voted."""
    rules: RuleBook = NO_RULES
    """The rules that may answer a prompt that is asked."""
    absences: Absences = NO_ABSENCES
    """The absences that this replica knows; some seconds old."""

    def is_dead(self, session: SessionRef) -> bool:
        """Whether a guard on this session is known to fail."""
        dead = self.dead_sessions
        return bool(dead) and (session in dead or SessionRef(session.session_id, ANY_EPOCH) in dead)


@dataclass(frozen=True)  # no slots: see evolve.py
class Aggregate:
    """A job with its open prompts, and those other rows that were loaded for a command. Its maps are never
    changed in place: a change makes new ones."""

    job: Job | None = None
    """None if the job does not exist (yet)."""
    prompts: dict[str, Prompt] = field(default_factory=dict)
    """By id: all open ones, and closed ones that were loaded."""
    submissions: Mapping[tuple[str, str], Submission] = field(default_factory=dict)
    """By prompt id and answer id, as far as loaded."""
    understanding: DeepUnderstanding | None = None
    """None if it was not loaded or never written."""
    carried: Mapping[str, CarriedAnswer] = field(default_factory=dict)
    """By key: answers of earlier jobs of the chain, as far as loaded."""

    def require_job(self, job_id: str, principal: Principal) -> Job:
        """The job. Raises JobNotFound if there is none, or the principal may not use its namespace."""
        if self.job is None or not principal.may_use(self.job.namespace):
            raise JobNotFound(job_id)
        return self.job

    def find(self, ref: PromptRef) -> Prompt | None:
        """A loaded prompt by its id, or by its key; else None."""
        if ref.prompt_id:
            return self.prompts.get(ref.prompt_id)
        prompt_id = self.keys.get(ref.key)
        return self.prompts[prompt_id] if prompt_id is not None else None

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """Prompt ids by key."""
        return {p.key: p.prompt_id for p in self.prompts.values()}

    @cached_property
    def size(self) -> int:
        """Estimated bytes in memory. `with_changes` derives it from the previous one and the change."""
        if self.job is None:
            return 0
        answers = [
            *(submission.answer for submission in self.submissions.values()),
            *(carried.answer for carried in self.carried.values()),
        ]
        texts = (
            bytes_of_texts(self.job) + bytes_of_texts(self.understanding) + sum(map(bytes_of_texts, answers))
        )
        prompts = sum(map(bytes_of_prompt, self.prompts.values()))
        return JOB_BYTES + prompts + ANSWER_BYTES * len(answers) + texts

    def with_changes(
        self,
        job: Job,
        prompts: dict[str, Prompt],
        submissions: Sequence[Submission] = (),
        understanding: DeepUnderstanding | None = None,
    ) -> Aggregate:
        """The aggregate with another version of its job, and with changed and further parts. What is known of
        the whole, such as its size, is derived from the few parts that change."""
        after = {"job": job, "prompts": self.prompts, "submissions": self.submissions}
        after |= {"understanding": understanding or self.understanding, "carried": self.carried}
        after["keys"] = self.keys
        if prompts:
            asked = {p.key: i for i, p in prompts.items() if i not in self.prompts}
            after["prompts"] = self.prompts | prompts
            after["keys"] = {**self.keys, **asked} if asked else self.keys
        if submissions:
            added = {(s.prompt_id, s.answer.answer_id): s for s in submissions}
            after["submissions"] = {**self.submissions, **added}
        if self.job is not None:
            growth = bytes_of_texts(job) - bytes_of_texts(self.job)
            if understanding is not None:
                growth += bytes_of_texts(understanding) - bytes_of_texts(self.understanding)
            for prompt_id, prompt in prompts.items():
                growth += growth_of_prompt(self.prompts.get(prompt_id), prompt)
            for submission in submissions:
                if (submission.prompt_id, submission.answer.answer_id) not in self.submissions:
                    growth += ANSWER_BYTES + bytes_of_texts(submission.answer)
            after["size"] = self.size + growth
        return from_fields(Aggregate, after)

    @property
    def open(self) -> list[Prompt]:
        """The open prompts, by round."""
        return _open_of(self.prompts, self.job.open_prompts) if self.job is not None else []

    @property
    def knows_all_prompts(self) -> bool:
        """Whether a prompt that is not loaded does not exist."""
        return self.job is None or len(self.prompts) == self.job.rounds

    def knows_all_submissions(self, prompt: Prompt) -> bool:
        """Whether a submission to the prompt that is not loaded does not exist."""
        if not prompt.submissions:
            return True
        return sum(1 for pid, _ in self.submissions if pid == prompt.prompt_id) == prompt.submissions


def _open_of(prompts: dict[str, Prompt], count: int) -> list[Prompt]:
    """The `count` open ones among the prompts, by round. The search starts at the newest, which come last."""
    found: list[Prompt] = []
    if count:
        for prompt in reversed(prompts.values()):
            if prompt.state is PromptState.PENDING:
                found.append(prompt)
                if len(found) == count:
                    break
        found.sort(key=lambda p: p.round)
    return found


@fast_init
@dataclass(frozen=True, slots=True)
class Guard:
    """Conditions of a write besides the job's version. The database checks them when it commits.

    Rules set them by `Change.require`; the guards of a batch's commands on one job are merged.
    """

    session: SessionRef | None = None
    """A worker session that must not have expired, at this epoch (`ANY_EPOCH`: at any). Set by writes of the
    holder, and by a resolution that makes the job run on at its holder."""
    not_before: datetime | None = None
    """The database's clock must have reached it. Set by deadlines, timers and leases of delayed jobs."""
    not_after: datetime | None = None
    """That clock must not have passed it. Set by answers (a deadline) and by turns of limited queues."""
    rules: tuple[RuleUse, ...] = ()
    """Rules that must be as they were read, and have uses left. The write counts the uses."""

    def merge(self, other: Guard) -> Guard:
        """A guard with the conditions of both. Of two epochs of one session the specific one wins."""
        if self is NO_GUARD or other is NO_GUARD or self is other:
            return other if self is NO_GUARD else self
        later = self.session and other.session and other.session.epoch
        session = other.session if later else self.session or other.session
        befores = [t for t in (self.not_before, other.not_before) if t]
        afters = [t for t in (self.not_after, other.not_after) if t]
        bounds = max(befores, default=None), min(afters, default=None)
        return Guard(session, *bounds, self.rules + other.rules)


NO_GUARD = Guard()


class Change:
    """The changes of one command to an aggregate, collected while its rule runs.

    Every event takes the next seq, and the job's version is the seq of its last event.
    """

    __slots__ = (
        "actor",
        "aggregate",
        "checkpoints",
        "deleted",
        "events",
        "facts",
        "guard",
        "in_steps",
        "job",
        "prompts",
        "retry",
        "submissions",
        "understanding",
    )

    def __init__(self, aggregate: Aggregate, facts: Facts, actor: str, job: Job | None = None) -> None:
        self.aggregate = aggregate
        self.facts = facts
        self.actor = actor
        started = job or aggregate.job
        assert started is not None
        self.job: Job = started
        self.prompts: dict[str, Prompt] = {}
        self.submissions: list[Submission] = []
        self.checkpoints: list[Checkpoint] = []
        self.understanding: DeepUnderstanding | None = None
        self.retry: Retry | None = None
        self.events: list[Event] = []
        self.guard = NO_GUARD
        self.deleted = self.in_steps = False  # see `JobWrite`

    def set(self, **values: Unpack[JobFields]) -> None:
        """Give fields of the job new values. Raises TypeError for a name that is not a field of `Job`."""
        self.job = evolve(self.job, **values)

    def prompt(self, prompt_id: str) -> Prompt:
        """The newest image of a prompt within this change."""
        return self.prompts.get(prompt_id) or self.aggregate.prompts[prompt_id]

    @property
    def open(self) -> list[Prompt]:
        """The prompts that are open after the change so far, by round."""
        if not self.prompts:
            return self.aggregate.open
        return _open_of({**self.aggregate.prompts, **self.prompts}, self.job.open_prompts)

    def put(self, prompt: Prompt) -> Prompt:
        """Add a new image of a prompt. Call `record` first: the event's seq becomes the prompt's version."""
        prompt = evolve(prompt, version=self.job.version, updated_at=self.facts.now)
        self.prompts[prompt.prompt_id] = prompt
        return prompt

    def record(
        self, type: EventType, prompt_id: str | None = None, data: Mapping[str, Json] | None = None
    ) -> int:
        """Add an event with the job's current state, so move the job first. Returns the event's seq."""
        seq = self.job.version + 1
        self.job = evolve(self.job, version=seq, updated_at=self.facts.now)
        self.events.append(
            Event(
                job_id=self.job.job_id,
                seq=seq,
                type=type,
                actor=self.actor,
                at=self.facts.now,
                state=self.job.state,
                namespace=self.job.namespace,
                command_id=self.facts.command_id,
                prompt_id=prompt_id,
                data=data,
            )
        )
        return seq

    def require(
        self,
        session: SessionRef | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> None:
        """Add conditions to the guard of the write, besides the job's version."""
        if session or not_before or not_after:
            self.guard = self.guard.merge(Guard(session, not_before, not_after))

    def result(self) -> Aggregate:
        """The aggregate after the change; an empty one if the job was deleted."""
        if self.deleted:
            return Aggregate()
        return self.aggregate.with_changes(self.job, self.prompts, self.submissions, self.understanding)


@fast_init
@dataclass(frozen=True, slots=True)
class RuleResult(Generic[R]):
    """The result of a rule: a reply, and the change that it depends on."""

    reply: R | AskbackError
    """An error here is raised to the caller after the change is committed."""
    change: Change | None = None
    """Must be committed before the reply is sent; None if the command changes nothing."""
