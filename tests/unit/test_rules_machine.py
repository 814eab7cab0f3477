"""Random commands on one job in random order: the invariants of `JobWorld.do` always hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from askback_server.domain import commands as c
from askback_server.domain.commands import PromptRef, SessionRef
from askback_server.domain.content import (
    Audience,
    DefaultAnswer,
    EscalationStep,
    FinalAction,
    Part,
    PromptContent,
    Reminders,
)
from askback_server.domain.decisions import Decision, Edit
from askback_server.domain.errors import AskbackError, IdReused
from askback_server.domain.forms import IntegerInput, Question, Questions
from askback_server.domain.jobs import Failure, JobState, Progress
from askback_server.domain.limits import Limits
from askback_server.domain.prompts import AnswerResult, AnswerStatus, Prompt
from tests.support.aggregates import ADMIN, ANN, BOB, CLIENT, OTHER_WORKER, STRANGER, WORKER, JobWorld

LIMITS = Limits(
    open_prompts_per_job=3,
    prompts_per_job=6,
    submissions_per_prompt=6,
    checkpoints_per_job=2,
    default_attempts=2,
)
FORM = Questions((Question(question_id="n", title="How many?", required=True, input=IntegerInput()),))
SESSIONS = [SessionRef("s1", 1), SessionRef("s2", 1), SessionRef("s2", 2)]
KEYS = ["a", "b", "c", "d", "e", "f", "g"]
CLIENTS = [CLIENT, CLIENT, ADMIN, STRANGER]
PEOPLE = [ANN, ANN, ANN, BOB, ADMIN, STRANGER, CLIENT]
BIG = '{ "n": 9007199254740993 }'
CLIENT_ACTS = ["understand", "withdraw", "update", "create"]
HOLDER_ACTS = ["progress", "checkpoint", "ack", "retry", "release"]
SHORT, LONG, SECOND = timedelta(seconds=5), timedelta(minutes=1), timedelta(seconds=1)
STEPS = (
    EscalationStep(2 * SECOND, Audience(users=frozenset({"bob"})), raise_priority=1),
    EscalationStep(4 * SECOND, Audience(users=frozenset({"ann"})), replace=True),
)


@st.composite
def contents(draw: st.DrawFn) -> PromptContent:
    final = draw(st.sampled_from(FinalAction))
    timeout = draw(st.sampled_from([None, SHORT, LONG] if final is FinalAction.EXPIRE else [SHORT, LONG]))
    return PromptContent(
        kind=draw(st.sampled_from(["preview", "deep_understanding"])),
        title=draw(st.sampled_from(["Is it right?", "Is it good?"])),
        parts=(Part("draft", text="x", editable=True),),
        form=draw(st.sampled_from([None, FORM])),
        blocking=draw(st.booleans()),
        final_action=final,
        default_answer=DefaultAnswer(Decision.REJECT) if final is FinalAction.DEFAULT else None,
        timeout=timeout,
        audience=draw(st.sampled_from([Audience(), Audience(), Audience(groups=frozenset({"law"}))])),
        escalation=draw(st.sampled_from([(), (), STEPS[:1], STEPS])),
        reminders=draw(st.sampled_from([None, None, Reminders(timedelta(seconds=1), SECOND, 3)])),
    )


class OneJob(RuleBasedStateMachine):
    """JobWorld checks the invariants of the rules; this class records the results that people received.

    A single rule chooses among all actions, because Hypothesis leaves whole rules out of a run, and a job
    that is never leased tests little. For the same reason, most arguments fit the current state.
    """

    def __init__(self) -> None:
        super().__init__()
        self.world = JobWorld()
        self.told: dict[tuple[str, str], AnswerResult] = {}

    def send(self, command: c.Command) -> Any:
        try:
            return self.world.do(command)
        except AskbackError as refused:
            return refused

    @property
    def exists(self) -> bool:
        return self.world.aggregate.job is not None

    @property
    def job_id(self) -> str:
        return self.world.job.job_id if self.exists else "gone"

    def ref(self, key: str) -> PromptRef:
        return PromptRef(job_id=self.job_id, key=key)

    def pick(self, data: Any) -> Prompt:
        prompts = sorted(self.world.aggregate.prompts.values(), key=lambda p: (not p.is_open, p.round))
        found: Prompt = data.draw(st.sampled_from(prompts))
        return found

    # --- jobs and time ---

    @initialize(data=st.data())
    def create(self, data: Any) -> None:
        workerless = data.draw(st.sampled_from([False, False, False, True]))
        prompt = data.draw(contents()) if workerless else None
        self.world, self.told = JobWorld(limits=LIMITS), {}
        times = {
            "timeout": data.draw(st.sampled_from([None, None, 2 * LONG])),
            "run_timeout": data.draw(st.sampled_from([None, SHORT])) if prompt is None else None,
            "start_delay": data.draw(st.sampled_from([None, SECOND])) if prompt is None else None,
        }
        self.world.create(prompt, request_id="r", max_attempts=data.draw(st.integers(0, 3)), **times)

    @rule(data=st.data())
    def something_happens(self, data: Any) -> None:
        job = self.world.aggregate.job
        actions = [self.time_passes]
        if job is None or job.is_terminal:
            actions += [self.create]
        else:
            actions += [self.a_worker_comes_or_goes]
        if job is not None:
            actions += [self.a_client_acts]
            if job.session_id is not None:
                actions += [self.the_holder_asks, self.the_holder_asks, self.the_holder_writes]
            if job.rounds:
                actions += [self.a_person_answers, self.a_person_claims, self.people_repeat_answers]
        data.draw(st.sampled_from(actions))(data)

    def time_passes(self, data: Any) -> None:
        self.world.tick(timedelta(seconds=data.draw(st.sampled_from([0.5, 1, 4, 5, 30, 60]))))
        for kind in data.draw(st.sampled_from([(), (c.RunDue,), (c.EndGrace, c.PurgeJob)])):
            self.send(kind(job_id=self.job_id))
            for prompt in self.world.aggregate.open if kind is c.RunDue else []:
                assert prompt.due_at is None or prompt.due_at > self.world.now
            if kind is c.RunDue and (job := self.world.aggregate.job) is not None:
                assert job.due_at is None or job.due_at > self.world.now

    def a_client_acts(self, data: Any) -> None:
        what = data.draw(st.sampled_from([*CLIENT_ACTS * 2, "cancel", "delete"]))
        job = self.world.job
        who = data.draw(st.sampled_from(CLIENTS))
        if what == "understand":
            who = data.draw(st.sampled_from([CLIENT, WORKER, OTHER_WORKER]))
            token = max(0, job.token - data.draw(st.integers(0, 2)))
            values = {"complete": True, "research_performed_json": " [ 1 ] "}
            reply = self.send(
                c.UpdateUnderstanding(principal=who, job_id=self.job_id, values=values, token=token)
            )
            if not isinstance(reply, AskbackError) and (token or who is not CLIENT):
                assert (token, who.subject) == (job.token, job.holder)
                assert self.world.guard.session is not None
        elif what == "withdraw" and self.world.aggregate.prompts:
            who = data.draw(st.sampled_from([CLIENT, WORKER, STRANGER]))
            self.send(c.CancelPrompt(principal=who, ref=self.ref(self.pick(data).key)))
        elif what == "update":
            keep = data.draw(st.sampled_from([None, timedelta(seconds=1), timedelta(days=1)]))
            values = {"retention": keep, "promoted": True}
            self.send(c.UpdateJob(principal=who, job_id=self.job_id, values=values))
        elif what == "cancel":
            self.send(c.CancelJob(principal=who, job_id=self.job_id, reason="why"))
        elif what == "create":
            command = c.CreateJob(principal=CLIENT, namespace="", job_type="other", request_id="r")
            assert isinstance(self.send(command), IdReused)
        elif what == "delete":
            self.send(c.DeleteJob(principal=who, job_id=self.job_id))

    # --- workers ---

    def a_worker_comes_or_goes(self, data: Any) -> None:
        job, dead = self.world.job, self.world.dead
        if self.world.state is JobState.PENDING:
            if data.draw(st.sampled_from([True, True, True, False])):
                self.world.now = max(self.world.now, job.ready_at or self.world.now)
            worker = data.draw(st.sampled_from([WORKER, OTHER_WORKER]))
            session = data.draw(st.sampled_from(SESSIONS))
            self.send(c.LeaseJob(principal=worker, job_id=self.job_id, session=session, worker_id="w"))
        elif dead:
            for session_id in sorted(dead):
                self.send(c.LoseSession(job_id=self.job_id, session_id=session_id))
            dead.clear()
        elif job.session_id is not None and data.draw(st.sampled_from([False, False, False, True])):
            dead.add(job.session_id)

    def hold(self, data: Any, kind: type[c.HolderCommand], **fields: Any) -> Any:
        job = self.world.job
        worker, token = (OTHER_WORKER if job.holder == OTHER_WORKER.subject else WORKER), job.token
        mistake = data.draw(st.sampled_from(["", "", "", "", "", "", "", "", "token", "worker"]))
        if mistake == "worker":
            worker = OTHER_WORKER if worker is WORKER else WORKER
        token -= mistake == "token"
        reply = self.send(kind(principal=worker, job_id=self.job_id, token=token, **fields))
        assert not mistake or isinstance(reply, AskbackError)
        return reply

    def the_holder_asks(self, data: Any) -> None:
        what = data.draw(st.sampled_from(["new", "new", "again", "amend", "supersede"]))
        content, key = data.draw(contents()), KEYS[self.world.job.rounds]
        if what == "new" or not self.world.aggregate.prompts:
            self.hold(data, c.AskPrompt, key=key, content=content)
            return
        old = self.pick(data)
        if what == "again":
            reply = self.hold(data, c.AskPrompt, key=old.key, content=old.content)
            assert isinstance(reply, AskbackError) or reply.replayed
        elif what == "amend":
            self.hold(data, c.AskPrompt, key=old.key, content=content)
        else:
            self.hold(data, c.AskPrompt, key=key, content=content, supersedes=(old.key,))

    def the_holder_writes(self, data: Any) -> None:
        what = data.draw(st.sampled_from([*HOLDER_ACTS * 2, "fail", "end"]))
        if what == "progress":
            self.hold(data, c.ReportProgress, progress=Progress(1, 3))
        elif what == "checkpoint":
            self.hold(data, c.SaveCheckpoint, key="k", value_json=BIG)
        elif what == "ack":
            closed = (p for p in self.world.aggregate.prompts.values() if not p.is_open)
            self.hold(data, c.AcknowledgePrompts, prompt_ids=tuple(p.prompt_id for p in closed))
        elif what == "release":
            self.hold(data, c.ReleaseJob)
        elif what == "end":
            self.hold(data, c.CompleteJob, result_json=BIG)
        else:
            self.hold(data, c.FailJob, failure=Failure("E", "m"), retryable=what == "retry")

    # --- people ---

    def a_person_answers(self, data: Any) -> None:
        prompt = self.pick(data)
        decision = data.draw(
            st.sampled_from([Decision.ACCEPT, Decision.ACCEPT, Decision.EDIT, Decision.REVISE])
        )
        values = "" if prompt.content.form is None or decision is Decision.REVISE else BIG
        if data.draw(st.sampled_from([False, False, True])):
            values = data.draw(st.sampled_from([BIG, '{"n":"?"}', "[", "null"]))
        edits = st.sampled_from([(), (Edit("draft", "y"),), (Edit("other", "y"),)])
        answer_id = data.draw(st.sampled_from(["x", "y", "z"]))
        reply = self.send(
            c.AnswerPrompt(
                principal=data.draw(st.sampled_from(PEOPLE)),
                ref=self.ref(prompt.key),
                answer_id=answer_id,
                revision=prompt.revision + data.draw(st.sampled_from([0, 0, 0, 0, 1, -1])),
                decision=decision,
                values_json=values,
                edits=data.draw(edits) if decision is Decision.EDIT else (),
                comment="because",
            )
        )
        before = self.told.get((prompt.key, answer_id))
        if not isinstance(reply, AnswerResult):
            assert isinstance(reply, AskbackError)
        elif before is None:
            assert not reply.replayed
            self.told[prompt.key, answer_id] = reply
        else:
            assert reply.replayed, "equal answer_id with other content must be refused"
            assert (reply.status, reply.violations) == (before.status, before.violations)

    def people_repeat_answers(self, _: Any) -> None:
        """A repeated answer gets the result of the first one."""
        for (key, answer_id), told in self.told.items():
            answer = self.world.aggregate.submissions[told.prompt.prompt_id, answer_id].answer
            person = {p.subject: p for p in (ANN, BOB, ADMIN)}[answer.user_id]
            command = c.AnswerPrompt(
                principal=person,
                ref=self.ref(key),
                answer_id=answer_id,
                revision=answer.revision,
                decision=answer.decision,
                values_json=answer.values_json,
                edits=answer.edits,
                comment=answer.comment,
            )
            reply = self.send(command)
            if isinstance(reply, AnswerResult):
                assert (reply.status, reply.replayed) == (told.status, True)
                assert self.world.change is None
            else:
                # An amendment or a step may have hidden the prompt from them.
                assert not self.world.prompt(key).is_for(person)

    def a_person_claims(self, data: Any) -> None:
        what = data.draw(st.sampled_from([c.ClaimPrompt, c.ReleasePrompt]))
        who = data.draw(st.sampled_from(PEOPLE))
        self.send(what(principal=who, ref=self.ref(self.pick(data).key)))

    # --- invariants besides those that JobWorld checks ---

    @invariant()
    def an_accepted_answer_is_the_resolution(self) -> None:
        """Invariants 1 and 2: an answer is the stored resolution exactly if its result was ACCEPTED."""
        for (key, answer_id), told in self.told.items() if self.exists else ():
            prompt = self.world.prompt(key)
            won = prompt.resolution.answer if prompt.resolution else None
            assert (told.status is AnswerStatus.ACCEPTED) == (won is not None and won.answer_id == answer_id)
            assert told.status is not AnswerStatus.CLOSED or not prompt.is_open

    @invariant()
    def a_job_that_can_run_is_offered(self) -> None:
        """Invariant 5: a job without a holder can be leased, waits for people, or has ended."""
        if self.exists and self.world.job.session_id is None and not self.world.job.is_terminal:
            assert self.world.job.ready_at is not None or self.world.state is JobState.PENDING_HITL


TestOneJob = OneJob.TestCase
TestOneJob.settings = settings(
    max_examples=2 * settings.default.max_examples // 5,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
