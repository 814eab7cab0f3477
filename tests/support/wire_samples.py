"""Sample messages with every field set, and their domain objects."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from askback.v1 import prompt_pb2 as pb
from askback_server.domain.answers import Answer, AnswerSource
from askback_server.domain.decisions import Decision, Edit
from askback_server.domain.delegations import (
    Delegation,
    DelegationCause,
    DelegationMode,
    Delegations,
)
from askback_server.domain.nudges import Nudges
from askback_server.domain.prompts import Prompt, PromptState, Resolution
from askback_server.domain.votes import Shortfall, Vote, Votes
from askback_server.ports.clock import uuid7
from askback_server.transport.convert.contents import content
from askback_server.transport.convert.values import duration, timestamp


def full_content() -> pb.PromptContent:
    options = [
        pb.Option(value="standard", title="Standard"),
        pb.Option(value="goodwill", description="Costs more", recommended=True),
    ]
    questions = [
        pb.Question(question_id="yes", title="Yes?", boolean=pb.BooleanInput(default_value=False)),
        pb.Question(
            question_id="policy",
            title="Which policy?",
            help="Look at *both*.",
            required=True,
            rationale="The refund follows it.",
            single=pb.SingleInput(options=options, default_value="goodwill", allow_other=True),
        ),
        pb.Question(
            question_id="tags",
            title="Tags",
            multi=pb.MultiInput(
                options=options, default_values=["standard"], min_items=1, max_items=2, allow_other=True
            ),
        ),
        pb.Question(
            question_id="why",
            title="Why?",
            text=pb.TextInput(
                default_value="", min_length=0, max_length=80, pattern="^[a-z ]*$", multiline=True
            ),
        ),
        pb.Question(
            question_id="count",
            title="How many?",
            integer=pb.IntegerInput(default_value=0, minimum=-(2**63), maximum=2**63 - 1),
        ),
        pb.Question(
            question_id="amount",
            title="How much?",
            number=pb.NumberInput(default_value=0.1, minimum=-1.5, maximum=1e300),
        ),
        pb.Question(
            question_id="day",
            title="When?",
            date=pb.DateInput(default_value="2026-10-10", minimum="2026-01-01", maximum="2026-12-31"),
        ),
        pb.Question(question_id="plain_yes", title="?", boolean=pb.BooleanInput()),
        pb.Question(question_id="plain_text", title="?", text=pb.TextInput()),
        pb.Question(question_id="plain_integer", title="?", integer=pb.IntegerInput()),
        pb.Question(question_id="plain_number", title="?", number=pb.NumberInput()),
        pb.Question(question_id="plain_date", title="?", date=pb.DateInput()),
    ]
    return pb.PromptContent(
        kind="preview",
        title="Refund order 1881? 🙂",
        body="# Order\n\nof *Ada*",
        contents=[
            pb.PromptPart(
                content_id="mail", title="Mail", media_type="text/markdown", text="Dear Ada", editable=True
            ),
            pb.PromptPart(content_id="order", title="Order", url="https://shop.example/1881"),
        ],
        questions=pb.QuestionForm(questions=questions),
        decisions=[
            pb.DecisionOption(decision=pb.DECISION_ACCEPT, label="Send it"),
            pb.DecisionOption(decision=pb.DECISION_EDIT, label="Send it so"),
            pb.DecisionOption(decision=pb.DECISION_REVISE, label="Again", comment_required=True),
        ],
        priority=-7,
        audience=pb.Audience(users=["ada", "bob"], groups=["ops"]),
        labels={"shop": "eu", "empty": ""},
        blocking=True,
        final_action=pb.FINAL_ACTION_DEFAULT,
        default_answer=pb.DefaultAnswer(decision=pb.DECISION_REVISE, comment="no person was there"),
        metadata_json='{"b":1, "a":2}',
        timeout=duration(timedelta(hours=1, microseconds=500_001)),
        escalation=[
            pb.EscalationStep(
                after=duration(timedelta(minutes=5)), to=pb.Audience(users=["cid"]), raise_priority=7
            ),
            pb.EscalationStep(
                after=duration(timedelta(minutes=9, microseconds=1)),
                to=pb.Audience(groups=["leads", "ops"]),
                replace=True,
            ),
        ],
        reminders=pb.Reminders(
            after=duration(timedelta(minutes=1)), every=duration(timedelta(minutes=2)), max_count=3
        ),
        correction=pb.Correction(
            key="mail", violations=[pb.FieldViolation(field="values_json/a~1b", description="too “late”")]
        ),
        group_key="refunds ✓",
        exclude=pb.Exclusion(
            requester=True, answerers_of=["mail"], users=["eve"], groups=["interns"], hide=True
        ),
        approval=pb.Approval(
            required=3,
            per_group=[
                pb.GroupApproval(group="ops", required=1),
                pb.GroupApproval(group="law", required=1),
            ],
            reject_at=2,
            shared=True,
        ),
        delegation=pb.DelegationPolicy(
            scope=pb.DELEGATION_SCOPE_LISTED, users=["dan", "gil"], groups=["law"]
        ),
    )


AT = datetime(2026, 10, 10, 12, 30, 1, 123457, tzinfo=UTC)

ANSWER = Answer(
    answer_id="a-1",
    decision=Decision.EDIT,
    values_json='{"policy" : "goodwill", "n": 18446744073709551615}',
    edits=(Edit("mail", "Dear Bob"), Edit("note", "")),
    comment="as agreed — ok",
    source=AnswerSource.HUMAN,
    user_id="ada",
    revision=2,
    created_at=AT,
    batch_id="monday",
    on_behalf_of="ben",
)
DELEGATIONS = Delegations(
    (
        Delegation(
            1, "ben", "ben", "ada", "", DelegationMode.TRANSFER, DelegationCause.PERSON, AT, "please"
        ),
        Delegation(
            2, "cid", "cid", "", "law", DelegationMode.ADD, DelegationCause.ABSENCE, AT, "",
            AT + timedelta(days=3),
        ),
    ),
    2,
)  # fmt: skip
VOTES = Votes(
    live=(
        Vote(ANSWER, "o1", frozenset({"ops", "leads"}), entry=frozenset({"leads"})),
        Vote(replace(ANSWER, answer_id="a-2", user_id="bob"), "o1", frozenset(), entry=None),
    ),
    earlier=frozenset({"cid"}),
    shortfalls=(Shortfall("law", 1, 0),),
)
RESOLUTION = Resolution(PromptState.ANSWERED, "ada", AT, "said so", ANSWER)
OPEN = Prompt(
    prompt_id=uuid7(),
    job_id=uuid7(),
    namespace="eu",
    job_type="refund",
    requested_by="carl",
    key="refund",
    round=3,
    revision=2,
    version=17,
    state=PromptState.PENDING,
    content=content(full_content(), "content").delegate(DELEGATIONS),
    digest="d",
    shown_digest="ab" * 32,
    created_at=AT,
    updated_at=AT + timedelta(seconds=1),
    expires_at=AT + timedelta(seconds=2),
    claimed_by="ada",
    claimed_until=AT - timedelta(days=1),
    submissions=4,
    nudges=Nudges(
        steps=1,
        step_at=AT + timedelta(minutes=9),
        reminded=2,
        reminded_at=AT + timedelta(minutes=3),
        remind_at=AT + timedelta(minutes=5),
    ),
    unattended_since=AT,
    votes=VOTES,
)
CLOSED = replace(
    OPEN,
    state=PromptState.ANSWERED,
    resolution=RESOLUTION,
    claimed_by="",
    claimed_until=None,
    consumed_at=AT + timedelta(seconds=3),
)


def answer_message() -> pb.Answer:
    return pb.Answer(
        answer_id="a-1",
        decision=pb.DECISION_EDIT,
        values_json=ANSWER.values_json,
        edits=[pb.Edit(content_id="mail", text="Dear Bob"), pb.Edit(content_id="note")],
        comment="as agreed — ok",
        source=pb.ANSWER_SOURCE_HUMAN,
        user_id="ada",
        revision=2,
        create_time=timestamp(AT),
        batch_id="monday",
        on_behalf_of="ben",
    )
