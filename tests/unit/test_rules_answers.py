"""Answers and claims: results, replays and races."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from askback_server.domain import commands as c
from askback_server.domain.answers import AnswerSource
from askback_server.domain.commands import PromptRef
from askback_server.domain.content import FinalAction, Part
from askback_server.domain.decisions import Decision, Edit
from askback_server.domain.errors import (
    IdReused,
    InvalidField,
    LeaseLost,
    PromptClaimed,
    PromptClosed,
    PromptNotFound,
)
from askback_server.domain.events import EventType
from askback_server.domain.forms import IntegerInput, Question, Questions
from askback_server.domain.jobs import JobState
from askback_server.domain.prompts import AnswerStatus, PromptState
from tests.support.aggregates import (
    ADMIN,
    ANN,
    BOB,
    HOUR,
    S1,
    S2,
    SECOND,
    JobWorld,
    deadline,
    fields_of,
    question,
    waiting,
)

AMOUNT = Questions((Question(question_id="n", title="How much?", required=True, input=IntegerInput()),))


def test_the_first_valid_answer_is_accepted_and_is_the_resolution() -> None:
    world = waiting(question(form=AMOUNT))
    reply = world.answer(values_json='{ "n" : 9007199254740993 }', comment="fine")
    assert (reply.status, reply.replayed, reply.violations) == (AnswerStatus.ACCEPTED, False, ())
    prompt = world.prompt()
    assert reply.prompt == prompt
    assert prompt.state is PromptState.ANSWERED
    assert prompt.resolution is not None
    answer = prompt.resolution.answer
    assert answer is not None
    assert answer.values_json == '{ "n" : 9007199254740993 }'
    assert (answer.source, answer.user_id, answer.revision) == (AnswerSource.HUMAN, "ann", 1)
    assert (answer.comment, answer.created_at) == ("fine", world.now)
    assert (prompt.resolution.actor, prompt.resolution.at) == ("ann", world.now)


def test_an_answer_may_name_its_prompt_by_id() -> None:
    world = waiting()
    ref = PromptRef(prompt_id=world.prompt().prompt_id)
    assert world.answer(ref=ref).status is AnswerStatus.ACCEPTED
    with pytest.raises(PromptNotFound) as missing:
        world.answer(ref=PromptRef(prompt_id="another"), answer_id="a2")
    assert missing.value.metadata == {"prompt_id": "another"}


def test_the_live_holder_continues_with_the_same_token() -> None:
    world = waiting()
    token = world.job.token
    world.answer()
    assert (world.state, world.job.token, world.job.session_id) == (JobState.RUNNING, token, S1.session_id)
    # The database decides whether the holder is alive, whichever epoch its session has now.
    assert world.guard.session is not None
    assert (world.guard.session.session_id, world.guard.session.epoch) == (S1.session_id, 0)


def test_a_job_whose_holder_has_expired_waits_for_another_worker() -> None:
    world = waiting()
    world.dead.add(S1.session_id)
    world.tick(HOUR).answer()
    job = world.job
    assert (job.state, job.ready_at, job.session_id, job.holder) == (JobState.PENDING, world.now, None, "")
    assert world.guard.session is None
    assert (job.attempt, job.token) == (1, 1), "going on after people is no new attempt"
    assert world.lease(S2).job.token == 2
    with pytest.raises(LeaseLost):
        world.on_job(c.ReleaseJob, token=1)


def test_a_parked_job_waits_for_another_worker() -> None:
    world = waiting().release().tick(HOUR)
    world.answer()
    assert (world.state, world.job.ready_at, world.guard.session) == (JobState.PENDING, world.now, None)


def test_only_the_last_blocking_prompt_moves_the_job() -> None:
    world = waiting()
    world.ask("b", question("And this?"))
    world.ask("c", question("By the way?", blocking=False))
    world.answer("1", "c")
    assert world.state is JobState.PENDING_HITL
    world.answer("2", "a")
    assert world.state is JobState.PENDING_HITL
    world.answer("3", "b")
    assert world.state is JobState.RUNNING


def test_one_of_several_answers_wins_and_the_others_learn_the_winner() -> None:
    world = waiting()
    world.answer("first", principal=BOB, decision=Decision.REJECT)
    late = world.answer("second", principal=ANN)
    assert late.status is AnswerStatus.CLOSED
    assert late.prompt.resolution is not None
    assert late.prompt.resolution.answer is not None
    assert late.prompt.resolution.answer.answer_id == "first"


@pytest.mark.parametrize("how", ["complete", "cancel", "fail", "expire"])
def test_a_late_answer_is_recorded_and_resolves_nothing(how: str) -> None:
    world = waiting(deadline(FinalAction.EXPIRE))
    match how:
        case "expire":
            world.tick(HOUR).expire()
        case "fail":
            world.fail(retryable=False)
        case "complete":
            world.complete()
        case _:
            world.release().cancel()
    job, resolution = world.job, world.prompt().resolution
    reply = world.tick(SECOND).answer("late", comment="sorry")
    assert reply.status is AnswerStatus.CLOSED
    assert world.events() == [EventType.ANSWER_LATE]
    assert (world.job.state, world.job.session_id) == (job.state, job.session_id)
    assert world.prompt().resolution == resolution
    (kept,) = world.submissions()
    assert (kept.status, kept.answer.comment, kept.seq) == (AnswerStatus.CLOSED, "sorry", world.job.version)
    assert world.answer("late", comment="sorry").replayed


def test_an_answer_to_what_was_shown_before_an_amendment_is_stale() -> None:
    world = waiting()
    world.ask("a", question("Really go on?"))
    for revision in (1, 3):
        reply = world.answer(f"to-{revision}", revision=revision)
        assert reply.status is AnswerStatus.STALE
        assert (reply.prompt.revision, reply.prompt.content.title) == (2, "Really go on?")
        assert world.events() == [EventType.ANSWER_REFUSED]
    assert world.prompt().is_open
    assert world.answer("new").status is AnswerStatus.ACCEPTED
    assert [s.status for s in world.submissions()] == [
        AnswerStatus.STALE,
        AnswerStatus.STALE,
        AnswerStatus.ACCEPTED,
    ]
    assert world.answer("to-1", revision=1).status is AnswerStatus.STALE, "a verdict is final"


def test_an_answer_to_content_with_another_digest_is_stale() -> None:
    world = waiting()
    first = world.prompt().shown_digest
    reply = world.answer("unseen", shown_digest="0" * 64)
    assert (reply.status, reply.prompt.shown_digest) == (AnswerStatus.STALE, first)
    assert world.events() == [EventType.ANSWER_REFUSED]
    world.ask("a", question("Really go on?"))
    second = world.prompt().shown_digest
    assert second != first
    assert world.answer("old", revision=1, shown_digest=second).status is AnswerStatus.STALE
    assert world.answer("new", revision=2, shown_digest=first).status is AnswerStatus.STALE
    assert world.prompt().is_open
    assert world.answer("seen", shown_digest=second).status is AnswerStatus.ACCEPTED
    assert [s.status for s in world.submissions()] == [*[AnswerStatus.STALE] * 3, AnswerStatus.ACCEPTED]


def test_the_digest_is_a_condition_and_no_part_of_the_answer() -> None:
    """A replica of version 0.1 ignores it, so a repeat at another replica may be the first with a digest."""
    world = waiting()
    shown = world.prompt().shown_digest
    world.answer("unseen", shown_digest="0" * 64)
    world.answer("seen", shown_digest=shown)
    for digest in ("", shown, "0" * 64):
        for answer_id, status in (("unseen", AnswerStatus.STALE), ("seen", AnswerStatus.ACCEPTED)):
            reply = world.answer(answer_id, shown_digest=digest)
            assert (reply.status, reply.replayed) == (status, True)


@pytest.mark.parametrize(
    "digest", ["0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n", "sha256:" + "0" * 57]
)
def test_a_malformed_digest_is_refused_and_nothing_changes(digest: str) -> None:
    world = waiting()
    world.answer("a1", shown_digest=world.prompt().shown_digest)
    for answer_id in ("a1", "a2"):
        with pytest.raises(InvalidField) as refused:
            world.answer(answer_id, shown_digest=digest)
        assert fields_of(refused.value) == {"shown_digest"}
    assert world.change is None or not world.change.events
    assert len(world.submissions()) == 1


def test_an_invalid_answer_reports_its_fields_and_leaves_the_prompt_open() -> None:
    world = waiting(question(form=AMOUNT))
    for number, (fields, violated) in enumerate(
        [
            ({"values_json": '{"n":1.5}'}, {"values_json/n"}),
            ({"values_json": '{"x":1}'}, {"values_json/n", "values_json/x"}),
            ({}, {"values_json/n"}),
            ({"decision": Decision.REVISE}, {"comment"}),
            ({"decision": Decision.RESPOND}, {"decision"}),
            ({"values_json": '{"n":1}', "edits": (Edit("x", "y"),)}, {"edits"}),
            ({"values_json": "{bad"}, {"values_json"}),
            ({"values_json": "null"}, {"values_json"}),
            ({"values_json": '{"n":"\\u0000"}'}, {"values_json"}),
            ({"values_json": '{"n":18446744073709551616}'}, {"values_json"}),
            ({"values_json": "[" * 70 + "]" * 70}, {"values_json"}),
        ]
    ):
        reply = world.answer(f"a{number}", **fields)
        assert reply.status is AnswerStatus.INVALID
        assert {v.field for v in reply.violations} == violated
        assert world.prompt().is_open
        again = world.answer(f"a{number}", **fields)
        assert (again.replayed, again.violations) == (True, reply.violations)
    assert {s.status for s in world.submissions()} == {AnswerStatus.INVALID}
    assert world.answer("good", values_json='{"n":1}').status is AnswerStatus.ACCEPTED


def test_edits_replace_editable_contents() -> None:
    world = waiting(question(kind="preview", parts=(Part("x", text="1", editable=True), Part("y", text="2"))))
    bad = world.answer("bad", decision=Decision.EDIT, edits=(Edit("y", "3"),))
    assert bad.status is AnswerStatus.INVALID
    edits = (Edit("x", "ä" * 1000),)
    good = world.answer("good", decision=Decision.EDIT, edits=edits)
    assert good.status is AnswerStatus.ACCEPTED
    assert good.prompt.resolution is not None
    assert good.prompt.resolution.answer is not None
    assert good.prompt.resolution.answer.edits == edits


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"answer_id": ""}, "answer_id"),
        ({"answer_id": "x" * 201}, "answer_id"),
        ({"revision": 0}, "revision"),
        ({"values_json": "\ud800"}, "values_json"),
        ({"values_json": '{"n":"\0"}'}, "values_json"),
        ({"values_json": '"' + "x" * 300_000 + '"'}, "values_json"),
        ({"comment": "a\0b"}, "comment"),
        ({"comment": "\ud800"}, "comment"),
        ({"edits": (Edit("x", "\0"),)}, "edits[0].text"),
        ({"edits": (Edit("\0", "x"),)}, "edits[0].content_id"),
        ({"edits": (Edit("x", "y"),) * 21}, "edits"),
        ({"edits": (Edit("x", "y" * 300_000), Edit("z", "y" * 300_000))}, "edits"),
    ],
)
def test_an_answer_that_cannot_be_stored_is_refused(fields: dict[str, str], field: str) -> None:
    world = waiting()
    with pytest.raises(InvalidField) as refused:
        world.answer(**{"answer_id": "a1", **fields})  # type: ignore[arg-type]
    assert field in fields_of(refused.value)


def test_an_equal_answer_id_gives_the_equal_result() -> None:
    world = waiting()
    first = world.answer(comment="x")
    assert world.answer(comment="x") == replace(first, prompt=world.prompt(), replayed=True)
    assert world.change is None
    world.complete()
    again = world.answer(comment="x")
    assert (again.status, again.replayed) == (AnswerStatus.ACCEPTED, True)


@pytest.mark.parametrize(
    "other",
    [
        {"comment": "y"},
        {"decision": Decision.REJECT},
        {"revision": 2},
        {"principal": BOB},
        {"values_json": "{}"},
        {"edits": (Edit("x", "y"),)},
    ],
)
def test_an_answer_id_with_other_content_is_refused(other: dict[str, object]) -> None:
    world = waiting()
    world.answer(comment="x")
    with pytest.raises(IdReused) as refused:
        world.answer(**{"comment": "x", **other})  # type: ignore[arg-type]
    prompt_id = world.prompt().prompt_id
    assert refused.value.metadata == {"field": "answer_id", "value": "a1", "prompt_id": prompt_id}


def test_an_answer_id_is_a_name_within_its_prompt() -> None:
    world = waiting()
    world.ask("b")
    assert world.answer("same", "a").status is AnswerStatus.ACCEPTED
    reply = world.answer("same", "b", decision=Decision.REJECT)
    assert (reply.status, reply.replayed) == (AnswerStatus.ACCEPTED, False)


def test_a_claim_keeps_others_from_answering_until_it_expires() -> None:
    world = waiting()
    claimed = world.on_prompt(c.ClaimPrompt, principal=BOB, duration=timedelta(minutes=2))
    assert (claimed.claimed_by, claimed.claimed_until) == ("bob", world.now + timedelta(minutes=2))
    world.tick(timedelta(minutes=2) - SECOND)
    for act in (
        lambda: world.answer(principal=ANN),
        lambda: world.answer(principal=ADMIN),
        lambda: world.on_prompt(c.ClaimPrompt, principal=ANN),
        lambda: world.on_prompt(c.ReleasePrompt, principal=ANN),
    ):
        with pytest.raises(PromptClaimed) as refused:
            act()
        assert refused.value.metadata["claimed_by"] == "bob"
    assert not world.submissions(), "a claimed prompt keeps no answers: it is not a verdict"
    world.tick(SECOND)
    assert world.on_prompt(c.ClaimPrompt, principal=ANN).claimed_by == "ann"
    assert world.answer(principal=ANN).prompt.claimed_by == ""


def test_the_claimant_may_answer_extend_and_release() -> None:
    world = waiting()
    first = world.on_prompt(c.ClaimPrompt, principal=BOB)
    assert first.claimed_until == world.now + world.limits.claim_default
    second = world.tick(SECOND).on_prompt(c.ClaimPrompt, principal=BOB)
    assert second.claimed_until == world.now + world.limits.claim_default
    assert world.on_prompt(c.ReleasePrompt, principal=BOB).claimed_until is None
    assert world.on_prompt(c.ReleasePrompt, principal=BOB).claimed_by == ""
    assert world.change is None
    world.on_prompt(c.ClaimPrompt, principal=BOB)
    assert world.on_prompt(c.ReleasePrompt, principal=ADMIN).claimed_by == ""
    world.on_prompt(c.ClaimPrompt, principal=BOB)
    assert world.answer(principal=BOB).status is AnswerStatus.ACCEPTED
    with pytest.raises(PromptClosed):
        world.on_prompt(c.ClaimPrompt, principal=BOB)


def test_withdrawing_a_prompt_lets_the_job_continue() -> None:
    world = waiting()
    prompt = world.on_prompt(c.CancelPrompt, reason="solved")
    assert (prompt.state, world.state) == (PromptState.CANCELLED, JobState.RUNNING)
    assert prompt.resolution is not None
    assert (prompt.resolution.reason, prompt.resolution.actor) == ("solved", "carl")
    assert world.on_prompt(c.CancelPrompt, reason="solved") == prompt
    assert world.change is None


def test_a_prompt_that_was_answered_cannot_be_withdrawn() -> None:
    world: JobWorld = waiting()
    world.answer()
    with pytest.raises(PromptClosed) as refused:
        world.on_prompt(c.CancelPrompt)
    assert refused.value.metadata == {"prompt_id": world.prompt().prompt_id, "state": "ANSWERED"}
