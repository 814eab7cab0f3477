"""A job with what a decision needs of its prompts, and the change that a decision makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, Protocol, Unpack

from askback_server.domain.commands import PromptRef, R, SessionRef
from askback_server.domain.errors import AskbackError, JobNotFound
from askback_server.domain.events import Event, EventType
from askback_server.domain.evolve import evolve, from_fields
from askback_server.domain.jobs import Checkpoint, DeepUnderstanding, Job, JobFields
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal
from askback_server.domain.prompts import Prompt, PromptState, Submission
from askback_server.domain.retries import CarriedAnswer, Retry

_OBJECT = 1_000
"""Bytes that a job, a prompt or an answer takes in memory besides its texts."""
ANY_EPOCH = 0
"""In a SessionRef: whichever stream has the session."""


def somebody_is_there(_: Prompt) -> bool:
    """Where nobody looks who is there, nobody is missed."""
    return True


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision may know besides the aggregate.

    `now` is an estimate of the database's clock; the guards of the write check it.
    `dead_sessions` are those that a guard has found not to live: with epoch 0 whoever holds them,
    else for the stream of that epoch (another one may have resumed the session).
    `attended` says whether somebody who may answer a prompt is there.
    """

    now: datetime
    limits: Limits
    new_id: Callable[[], str]
    command_id: str
    dead_sessions: frozenset[SessionRef] = frozenset()
    attended: Callable[[Prompt], bool] = somebody_is_there

    def is_dead(self, session: SessionRef) -> bool:
        """Whether a guard on this session is known to fail."""
        dead = self.dead_sessions
        return bool(dead) and (session in dead or SessionRef(session.session_id, ANY_EPOCH) in dead)


@dataclass(frozen=True)  # no slots: what is derived is kept beside the fields
class Aggregate:
    """A job, its open prompts, and those closed ones, submissions and understanding that are known.

    Maps are never changed in place. `job` is None for a job that does not exist (yet).
    """

    job: Job | None = None
    prompts: dict[str, Prompt] = field(default_factory=dict)
    submissions: Mapping[tuple[str, str], Submission] = field(default_factory=dict)
    understanding: DeepUnderstanding | None = None
    carried: Mapping[str, CarriedAnswer] = field(default_factory=dict)
    """By key: those answers of earlier jobs of the chain that are known."""

    def existing(self, job_id: str, principal: Principal) -> Job:
        """The job, if the principal may know of it. Raises JobNotFound."""
        if self.job is None or not principal.may_use(self.job.namespace):
            raise JobNotFound(job_id)
        return self.job

    def find(self, ref: PromptRef) -> Prompt | None:
        """A prompt by its id or its key, among those that are known."""
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
        """Roughly how many bytes it takes in memory. A change carries it on (`Change.result`)."""
        if self.job is None:
            return 0
        answers = [
            *(submission.answer for submission in self.submissions.values()),
            *(carried.answer for carried in self.carried.values()),
        ]
        texts = _texts(self.job) + _texts(self.understanding) + sum(map(_texts, answers))
        return _OBJECT * (1 + len(answers)) + texts + sum(map(_prompt_size, self.prompts.values()))

    @property
    def open(self) -> list[Prompt]:
        """The open prompts, by round."""
        return _open_of(self.prompts, self.job.open_prompts) if self.job is not None else []

    @property
    def knows_all_prompts(self) -> bool:
        """Whether a prompt that is not here does not exist."""
        return self.job is None or len(self.prompts) == self.job.rounds

    def knows_all_submissions(self, prompt: Prompt) -> bool:
        """Whether a submission to the prompt that is not here does not exist."""
        if not prompt.submissions:
            return True
        return sum(1 for pid, _ in self.submissions if pid == prompt.prompt_id) == prompt.submissions


def _open_of(prompts: dict[str, Prompt], count: int) -> list[Prompt]:
    """The `count` open ones among the prompts; the newest come last, so the search starts there."""
    found: list[Prompt] = []
    if count:
        for prompt in reversed(prompts.values()):
            if prompt.state is PromptState.PENDING:
                found.append(prompt)
                if len(found) == count:
                    break
        found.sort(key=lambda p: p.round)
    return found


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
    """The database's clock must not have passed it. Set by answers (the prompt's deadline) and by leases
    under a concurrency limit (the end of the turn)."""

    def merged(self, other: Guard) -> Guard:
        """Both."""
        if self is NO_GUARD or self is other:
            return other
        if other is NO_GUARD:
            return self
        session = self.session or other.session
        if self.session and other.session and other.session.epoch:
            session = other.session
        befores = [t for t in (self.not_before, other.not_before) if t]
        afters = [t for t in (self.not_after, other.not_after) if t]
        return Guard(session, max(befores, default=None), min(afters, default=None))


NO_GUARD = Guard()


class Change:
    """What one command makes of an aggregate; grows while its rule runs.

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
        self.deleted = False

    def set(self, **values: Unpack[JobFields]) -> None:
        """Give fields of the job new values. Raises TypeError for a name that is no field of `Job`."""
        self.job = evolve(self.job, **values)

    def prompt(self, prompt_id: str) -> Prompt:
        """A prompt as it is within this change."""
        return self.prompts.get(prompt_id) or self.aggregate.prompts[prompt_id]

    @property
    def open(self) -> list[Prompt]:
        """The prompts that are open within this change, by round."""
        if not self.prompts:
            return self.aggregate.open
        return _open_of({**self.aggregate.prompts, **self.prompts}, self.job.open_prompts)

    def put(self, prompt: Prompt) -> Prompt:
        """A new image of a prompt; call `event` first: the prompt's version is its seq."""
        prompt = evolve(prompt, version=self.job.version, updated_at=self.facts.now)
        self.prompts[prompt.prompt_id] = prompt
        return prompt

    def event(
        self, type: EventType, prompt_id: str | None = None, data: Mapping[str, Any] | None = None
    ) -> int:
        """Write to the log, with the job's state as it is now: move the job first. Returns the seq."""
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
        """Make the write depend on more than the version."""
        if session or not_before or not_after:
            self.guard = self.guard.merged(Guard(session, not_before, not_after))

    def result(self) -> Aggregate:
        """The aggregate after the change; an empty one if the job is gone."""
        if self.deleted:
            return Aggregate()
        base = self.aggregate
        prompts, keys, submissions = base.prompts, base.keys, base.submissions
        if self.prompts:
            asked = {p.key: i for i, p in self.prompts.items() if i not in prompts}
            prompts = prompts | self.prompts
            keys = {**keys, **asked} if asked else keys
        if self.submissions:
            made_now = {(s.prompt_id, s.answer.answer_id): s for s in self.submissions}
            submissions = {**submissions, **made_now}
        after = {"job": self.job, "prompts": prompts, "submissions": submissions, "keys": keys}
        after |= {"understanding": self.understanding or base.understanding, "carried": base.carried}
        if base.job is not None:
            after["size"] = base.size + self._growth(base)
        return from_fields(Aggregate, after)

    def _growth(self, base: Aggregate) -> int:
        """How many bytes the change adds. A job may have many prompts, and a change has few."""
        growth = _texts(self.job) - _texts(base.job)
        if self.understanding is not None:
            growth += _texts(self.understanding) - _texts(base.understanding)
        for prompt_id, prompt in self.prompts.items():
            old = base.prompts.get(prompt_id)
            growth += _prompt_size(prompt) - (0 if old is None else _prompt_size(old))
        for submission in self.submissions:
            if (submission.prompt_id, submission.answer.answer_id) not in base.submissions:
                growth += _OBJECT + _texts(submission.answer)
        return growth


class _Sized(Protocol):
    @property
    def size(self) -> int: ...


def _texts(sized: _Sized | None) -> int:
    """What texts take in memory: twice, because most are also kept as documents."""
    return 0 if sized is None else 2 * sized.size


def _prompt_size(prompt: Prompt) -> int:
    answer = None if prompt.resolution is None else prompt.resolution.answer
    return _OBJECT + _texts(prompt.content) + _texts(answer)


@dataclass(frozen=True, slots=True)
class Decided(Generic[R]):
    """The outcome of a rule."""

    reply: R | AskbackError
    """An error here is raised to the caller after the change is committed."""
    change: Change | None = None
    """Must be committed before the reply is sent; None if the command changes nothing."""
