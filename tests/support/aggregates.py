"""One job with its prompts, and a clock that tests set; every invariant is checked after each change.

`JobWorld.do` applies a command as the engine would and then checks every invariant of the domain, so a
test only states what is special about its case.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from askback_server.domain import commands as c
from askback_server.domain import vote_commands as v
from askback_server.domain.absences import NO_ABSENCES, Absences
from askback_server.domain.aggregate import Aggregate, Change, Facts, Guard
from askback_server.domain.apply import apply
from askback_server.domain.commands import PromptRef, SessionRef
from askback_server.domain.content import DefaultAnswer, FinalAction, PromptContent
from askback_server.domain.decisions import Decision
from askback_server.domain.electorate import UNKNOWN, Electorate
from askback_server.domain.errors import AskbackError
from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import Failure, Job, JobState
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import AnswerResult, Prompt, Submission
from askback_server.domain.replies import JobCreated, PromptAsked
from askback_server.domain.rules import NO_RULES, RuleBook
from tests.support.invariants import check_aggregate, check_change

START = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)

CLIENT = Principal("carl", frozenset({Role.CLIENT}))
WORKER = Principal("wanda", frozenset({Role.WORKER}))
OTHER_WORKER = Principal("wim", frozenset({Role.WORKER}))
ANN = Principal("ann", frozenset({Role.CONSOLE}), groups=frozenset({"law"}))
BOB = Principal("bob", frozenset({Role.CONSOLE}))
ADMIN = Principal("root", frozenset({Role.ADMIN}))
STRANGER = Principal("sam", frozenset({Role.CLIENT, Role.WORKER, Role.CONSOLE}), ("elsewhere",))

S1, S2 = SessionRef("session-1", 1), SessionRef("session-2", 1)


def question(title: str = "Go on?", **fields: Any) -> PromptContent:
    """A small prompt: ACCEPT, or REVISE with a comment, or REJECT."""
    return PromptContent(kind=fields.pop("kind", "confirm"), title=title, **fields)


def deadline(final: FinalAction, timeout: timedelta = HOUR, **fields: Any) -> PromptContent:
    """A prompt with a deadline; its default, if any, is REJECT."""
    default = DefaultAnswer(Decision.REJECT, "", "too late") if final is FinalAction.DEFAULT else None
    return question(final_action=final, timeout=timeout, default_answer=default, **fields)


@dataclass
class JobWorld:
    """One aggregate with its log and clock, and the sessions that count as dead."""

    limits: Limits = field(default_factory=Limits)
    now: datetime = START
    aggregate: Aggregate = field(default_factory=Aggregate)
    log: list[Event] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    change: Change | None = None
    """The change made by the last command; None if it made none."""
    ids: int = 0
    present: tuple[Principal, ...] | None = None
    """The people at a console; None: presence is not tracked, so every prompt counts as attended."""
    rules: RuleBook = NO_RULES
    absences: Absences = NO_ABSENCES
    electorate: Electorate = UNKNOWN

    def do(self, command: c.Command[object]) -> Any:
        """Apply a command and check every invariant. Returns the command's reply or raises its error."""
        self.change = None
        before, kept = self.aggregate, _copy(self.aggregate)
        try:
            decided = apply(before, command, self._facts())
        except AskbackError:
            assert before == kept, "an error must not change anything"
            raise
        assert before == kept, "maps are never changed in place"
        self.change = decided.change
        if decided.change is not None:
            after = decided.change.result()
            check_change(before, command, decided.change, after)
            self.aggregate = after
            self.log += decided.change.events
            check_aggregate(after, self.log)
        if isinstance(decided.reply, AskbackError):
            raise decided.reply
        return decided.reply

    def _facts(self) -> Facts:
        self.ids += 1
        dead = frozenset(SessionRef(session_id, 0) for session_id in self.dead)
        facts = Facts(
            self.now,
            self.limits,
            self._new_id,
            f"command-{self.ids}",
            dead,
            electorate=self.electorate,
            rules=self.rules,
            absences=self.absences,
        )
        there = self.present
        return facts if there is None else replace(facts, attended=lambda p: any(map(p.is_for, there)))

    def _new_id(self) -> str:
        self.ids += 1
        return f"id-{self.ids:04}"

    # --- reading ---

    @property
    def job(self) -> Job:
        assert self.aggregate.job is not None
        return self.aggregate.job

    @property
    def state(self) -> JobState:
        return self.job.state

    @property
    def guard(self) -> Guard:
        """The guard of the last change's write."""
        assert self.change is not None
        return self.change.guard

    def prompt(self, key: str = "a") -> Prompt:
        found = self.aggregate.find(PromptRef(key=key))
        assert found is not None
        return found

    def events(self) -> list[EventType]:
        """The events of the last change."""
        return [e.type for e in self.change.events] if self.change else []

    def submissions(self, key: str = "a") -> list[Submission]:
        """The submissions to a prompt, oldest first."""
        mine = (s for s in self.aggregate.submissions.values() if s.prompt_id == self.prompt(key).prompt_id)
        return sorted(mine, key=lambda s: s.seq)

    # --- commands ---

    def tick(self, by: timedelta) -> JobWorld:
        self.now += by
        return self

    def create(self, prompt: PromptContent | None = None, **fields: Any) -> JobCreated:
        fields = {"principal": CLIENT, "namespace": "", "job_type": "refund", **fields}
        reply: JobCreated = self.do(c.CreateJob(prompt=prompt, **fields))
        return reply

    def on_job(self, kind: type[c.OnJob[object]], **fields: Any) -> Any:
        if issubclass(kind, c.HolderCommand):
            fields = {
                "principal": WORKER,
                "token": self.aggregate.job.token if self.aggregate.job else 1,
                **fields,
            }
        elif issubclass(kind, c.UpdateJob | c.CancelJob | c.DeleteJob | c.UpdateUnderstanding):
            fields = {"principal": CLIENT, **fields}
        return self.do(kind(**{"job_id": self._job_id(), **fields}))

    def lease(self, session: SessionRef = S1, principal: Principal = WORKER) -> JobWorld:
        worker_id = f"worker of {principal.subject}"
        self.on_job(c.LeaseJob, principal=principal, session=session, worker_id=worker_id)
        return self

    def ask(self, key: str = "a", content: PromptContent | None = None, **fields: Any) -> PromptAsked:
        fields = {"key": key, "content": content or question(), **fields}
        reply: PromptAsked = self.on_job(c.AskPrompt, **fields)
        return reply

    def answer(self, answer_id: str = "a1", key: str = "a", **fields: Any) -> AnswerResult:
        known = self.aggregate.find(PromptRef(key=key))
        fields = {
            "principal": ANN,
            "ref": self._ref(key),
            "revision": known.revision if known else 1,
            "decision": Decision.ACCEPT,
            **fields,
        }
        reply: AnswerResult = self.do(c.AnswerPrompt(answer_id=answer_id, **fields))
        return reply

    def override(self, answer_id: str = "o1", key: str = "a", **fields: Any) -> AnswerResult:
        """An admin's override, in a namespace that allows it."""
        self.limits = replace(self.limits, override_allowed=frozenset({"*"}))
        known = self.aggregate.find(PromptRef(key=key))
        fields = {
            "principal": ADMIN,
            "ref": self._ref(key),
            "revision": known.revision if known else 1,
            "decision": Decision.ACCEPT,
            "comment": "urgent",
            **fields,
        }
        reply: AnswerResult = self.do(v.OverridePrompt(answer_id=answer_id, **fields))
        return reply

    def on_prompt(self, kind: type[c.OnPrompt[object]], key: str = "a", **fields: Any) -> Prompt:
        principal = CLIENT if kind is c.CancelPrompt else ANN
        fields = {"principal": principal, "ref": self._ref(key), **fields}
        reply: Prompt = self.do(kind(**fields))
        return reply

    def fail(self, retryable: bool = True, **fields: Any) -> Job:
        reply: Job = self.on_job(c.FailJob, failure=Failure("E", "no"), retryable=retryable, **fields)
        return reply

    def release(self) -> JobWorld:
        self.on_job(c.ReleaseJob)
        return self

    def complete(self, result_json: str = '{"ok":true}', **fields: Any) -> Job:
        reply: Job = self.on_job(c.CompleteJob, result_json=result_json, **fields)
        return reply

    def cancel(self, reason: str = "enough") -> Job:
        reply: Job = self.on_job(c.CancelJob, reason=reason)
        return reply

    def expire(self) -> JobWorld:
        self.on_job(c.RunDue)
        return self

    def lose(self, session: SessionRef = S1) -> JobWorld:
        self.on_job(c.LoseSession, session_id=session.session_id)
        return self

    def _job_id(self) -> str:
        return self.aggregate.job.job_id if self.aggregate.job else "no-such-job"

    def _ref(self, key: str) -> PromptRef:
        return PromptRef(job_id=self._job_id(), key=key)


def _copy(aggregate: Aggregate) -> Aggregate:
    return replace(aggregate, prompts=dict(aggregate.prompts), submissions=dict(aggregate.submissions))


def running(**fields: Any) -> JobWorld:
    """A job that WORKER holds by session S1."""
    world = JobWorld()
    world.create(**fields)
    return world.lease()


def waiting(content: PromptContent | None = None, **fields: Any) -> JobWorld:
    """A leased job that waits for the answer to its prompt `a`."""
    world = running(**fields)
    world.ask("a", content)
    return world


def fields_of(error: AskbackError) -> set[str]:
    """The fields named by an InvalidField."""
    violations: Iterable[Any] = getattr(error, "violations", ())
    return {v.field for v in violations}
