"""Jobs and prompts whose fields all differ from their defaults."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.approvals import Approval, GroupApproval
from askback_server.domain.content import (
    Audience,
    Correction,
    DefaultAnswer,
    EscalationStep,
    Exclusion,
    FinalAction,
    Part,
    PromptContent,
    Reminders,
)
from askback_server.domain.decisions import Decision, DecisionOption, Edit
from askback_server.domain.delegations import (
    Delegation,
    DelegationCause,
    DelegationMode,
    DelegationPolicy,
    Delegations,
    DelegationScope,
)
from askback_server.domain.forms import (
    BooleanInput,
    DateInput,
    Input,
    IntegerInput,
    MultiInput,
    NumberInput,
    Option,
    Question,
    Questions,
    SingleInput,
    TextInput,
)
from askback_server.domain.jobs import Failure, Job, JobState, Progress, Wake
from askback_server.domain.json_text import Violation
from askback_server.domain.nudges import Nudges
from askback_server.domain.prompts import Prompt
from askback_server.domain.votes import Shortfall, Vote, Votes
from askback_server.ports.clock import uuid7
from tests.support.rows import new_job, new_prompt, now
from tests.support.storage import LONG

EXACT = (
    '{ "z": 1, "a" : 9007199254740993, "m":[18446744073709551615, -9223372036854775808, 1.10e2],'
    ' "é":"\\u00e9" }'
)
"""JSON whose key order, white space, large numbers and escapes must be kept byte for byte."""


def full_job() -> Job:
    """A job whose fields all differ from their defaults."""
    at = now()
    return new_job(
        namespace="tenant/7",
        job_type="refund.v2",
        user_id="Zoë 🦊",
        state=JobState.FAILED,
        created_at=at - LONG,
        updated_at=at,
        input_json=EXACT,
        result_json=EXACT,
        failure=Failure("E_42", "nein 🦊", EXACT),
        progress=Progress(3, 2**53, 12.5, "drei"),
        priority=-7,
        labels={"b": "1", 'a"\\': "zwei", "ü": ""},
        promoted=True,
        attempt=4,
        max_attempts=9,
        rounds=2,
        open_prompts=1,
        open_blocking=1,
        version=2**40,
        token=2**41,
        ready_at=at + LONG,
        session_id=uuid7(),
        worker_id="w-1",
        holder="wanda",
        completed_at=at,
        cancel_requested_at=at - LONG,
        cancel_at=at + LONG,
        cancel_reason="enough",
        cancelled_by="Zoë",
        retention=timedelta(seconds=90.25),
        purge_at=at + LONG,
        timeout=timedelta(seconds=7.5),
        expires_at=at + LONG,
        run_timeout=timedelta(seconds=5.25),
        run_until=at + LONG,
        run_left=timedelta(seconds=1.25),
        wake=Wake.DUE,
        stalled_at=at - LONG,
        unreceived=2,
        requesters=("bot", "ä"),
        request_id="r/1 ✓",
        request_digest="d",
        retried_from=uuid7(),
        root=uuid7(),
        workerless=True,
        carried_answers=3,
        checkpoints=17,
        understanding_version=3,
    )


def every_question() -> Questions:
    options = (Option("a", "A", "first", True), Option("b"))
    inputs: list[Input] = [
        BooleanInput(default=True),
        SingleInput(options, default="b", allow_other=True),
        MultiInput(options, default=("b", "a"), min_items=1, max_items=2, allow_other=True),
        TextInput("x", 1, 2**31, "[a-z]+", True),
        IntegerInput(2**53 + 1, -(2**63), 2**63 - 1),
        NumberInput(0.1, -1e300, 1e300),
        DateInput("2024-02-29", "2024-01-01", "2024-12-31"),
    ]
    return Questions(
        tuple(
            Question(
                question_id=f"q{i}", title=f"T{i}", input=one, help="h", required=i % 2 == 0, rationale="r"
            )
            for i, one in enumerate(inputs)
        )
    )


def full_content(**changed: Any) -> PromptContent:
    content = PromptContent(
        kind="preview",
        title="Größe? 🦊",
        body="# Body\n\nline",
        parts=(Part("diff", "Diff", "text/x-diff", "-a\n+b", "", True), Part("doc", url="https://x.y/z")),
        form=every_question(),
        decisions=(DecisionOption(Decision.ACCEPT, "Ja", True), DecisionOption(Decision.EDIT, "Anders")),
        priority=11,
        audience=Audience(frozenset({"ann", "bob"}), frozenset({"law", "ops"})),
        labels={"region": "eu", "a.b": "c"},
        blocking=False,
        final_action=FinalAction.DEFAULT,
        default_answer=DefaultAnswer(Decision.ACCEPT, '{"q1": 9007199254740993}', "late"),
        metadata_json=EXACT,
        timeout=timedelta(seconds=1.5),
        escalation=(
            EscalationStep(timedelta(seconds=1), Audience(frozenset({"cid"})), raise_priority=3),
            EscalationStep(timedelta(seconds=1.25), Audience(groups=frozenset({"ops"})), replace=True),
        ),
        reminders=Reminders(timedelta(seconds=1), timedelta(seconds=0.5), 2),
        correction=Correction("k ✓", (Violation("values_json/q1", "zu früh"), Violation("values_json", "?"))),
        group_key="g ✓",
        exclusion=Exclusion(True, ("k1", "k2"), frozenset({"eve"}), frozenset({"interns"}), True),
        approval=Approval(3, (GroupApproval("ops", 1), GroupApproval("law", 2)), 2, True),
        delegation_policy=DelegationPolicy(
            DelegationScope.LISTED, frozenset({"dan", "gil"}), frozenset({"law"})
        ),
        delegations=full_delegations(),
        rerouted=True,
    )
    return replace(content, **changed)


def full_delegations() -> Delegations:
    at = datetime(2026, 11, 30, 12, 0, 1, 5, tzinfo=UTC)
    by_person = Delegation(
        2, "ann", "ann", "dan", "", DelegationMode.TRANSFER, DelegationCause.PERSON, at, "you know it ✓",
        entry=frozenset({"ops", "law"}),
    )  # fmt: skip
    by_absence = Delegation(
        3, "ann", "dan", "", "law", DelegationMode.ADD, DelegationCause.ABSENCE, at, "", at + LONG, 2
    )
    return Delegations((by_person, by_absence), 4, (("bob", "eve"),))


def full_votes(at: datetime) -> Votes:
    edits = (Edit("diff", "ä"),)
    answer = Answer(
        "a ✓", Decision.EDIT, EXACT, edits, "so", AnswerSource.HUMAN, "dan", 3, at, "batch ✓", "ann"
    )
    vote = Vote(answer, "o1", frozenset({"ops", "law"}), frozenset({"law"}), 2, "ops")
    return Votes((vote,), frozenset({"bob"}), (Shortfall("law", 2, 1),))


def full_prompt(job: Job, **changed: Any) -> Prompt:
    at = now()
    return new_prompt(
        job,
        full_content(),
        key="k ✓",
        round=2,
        revision=3,
        version=2**40,
        claimed_by="ann",
        claimed_until=at + LONG,
        consumed_at=at,
        submissions=4,
        nudges=Nudges(1, at + LONG, 2, at, at + 2 * LONG),
        unattended_since=at,
        same_digest="d2",
        asked_digest="d3",
        requested_by="carl",
        votes=full_votes(at),
        **changed,
    )


def has_no_defaults(value: Any) -> bool:
    """Whether every field of a dataclass has a value other than an empty one."""
    blank = {f.name for f in fields(value) if getattr(value, f.name) in ("", None, 0, False, {}, ())}
    return not blank
