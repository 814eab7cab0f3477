"""Votes as typed values, and their progress in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from askback._console.console_prompt import RecordedVotes
from askback._model.approvals import Approval, VoteCount, votes_of
from askback._model.content import prompt_content, same_question
from askback._model.enums import AnswerStatus, JobState
from askback._model.escalation import Exclude
from askback._model.jobs import Event
from askback._model.prompts import AnswerOutcome, PromptInfo
from askback.cli.event_words import event_words
from askback.terminal.verdicts import accepted_words
from askback.terminal.vote_words import changes_of_votes, find_vote, progress_words, short_progress
from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as pb

ACCEPT, EDIT, REJECT = pb.DECISION_ACCEPT, pb.DECISION_EDIT, pb.DECISION_REJECT
AT = datetime(2030, 1, 1, tzinfo=UTC)


def vote(name: str, decision: int = ACCEPT, outcome: str = "yes", **more: object) -> pb.Vote:
    return pb.Vote(answer_id=f"{name}-1", user_id=name, decision=decision, outcome=outcome, **more)


def count(
    votes: int, required: int, outcome: str = "yes", decision: int = ACCEPT, **missing: int
) -> pb.VoteCount:
    found = pb.VoteCount(outcome=outcome, decision=decision, votes=votes, required=required)
    for group, number in missing.items():
        found.missing.add(group=group, required=number)
    return found


def prompt(*votes: pb.Vote, counts: tuple[pb.VoteCount, ...] = (), is_open: bool = True) -> PromptInfo:
    content = pb.PromptContent(title="Go?", approval=pb.Approval(required=2, reject_at=1))
    content.approval.per_group.add(group="qa", required=1)
    state = pb.PROMPT_STATE_PENDING if is_open else pb.PROMPT_STATE_ANSWERED
    return PromptInfo(pb.Prompt(content=content, votes=votes, vote_counts=counts, state=state))


@pytest.mark.parametrize(
    ("found", "shared", "more"),
    [
        (count(1, 3), False, 2),
        (count(2, 2, qa=1), False, 1),
        (count(1, 2, qa=1, law=1), False, 2),  # the first vote fills the place of no group
        (count(1, 2, qa=1, law=1), True, 1),  # one member of both is enough
    ],
)
def test_a_count_says_how_many_votes_could_complete_it(found: pb.VoteCount, shared: bool, more: int) -> None:
    assert VoteCount.from_proto(found, shared=shared).more == more


def test_every_vote_for_an_outcome_has_the_edits_that_only_the_first_one_carries() -> None:
    edits = [pb.Edit(content_id="plan", text="two")]
    found = votes_of(
        [vote("amy", EDIT, "e", edits=edits, values_json='{"n": 1}'), vote("ben", EDIT, "e"), vote("cat")]
    )
    assert [(v.by, v.edits, v.values) for v in found] == [
        ("amy", {"plan": "two"}, {"n": 1}),
        ("ben", {"plan": "two"}, {"n": 1}),
        ("cat", {}, None),
    ]


def test_progress_has_a_line_for_each_outcome_and_always_one_for_a_yes() -> None:
    assert progress_words(prompt()) == ["0 of 2 approve; 2 more needed (1 of qa)"]
    shown = prompt(vote("amy"), vote("ben"), counts=(count(2, 2, qa=1),))
    assert progress_words(shown) == ["2 of 2 approve: amy, ben; 1 more needed (1 of qa)"]
    assert short_progress(shown) == "2/2, 1 more"
    rejected = prompt(vote("amy", REJECT, "no"), counts=(count(1, 2, "no", REJECT),))
    assert progress_words(rejected) == [
        "0 of 2 approve; 2 more needed (1 of qa)",
        "1 of 2 reject: amy; 1 more needed",
    ]
    proposal = prompt(vote("amy", values_json='{"n": 1}'), counts=(count(1, 2),), is_open=False)
    assert progress_words(proposal) == ["1 of 2 approve the values of amy: amy"]
    assert progress_words(PromptInfo(pb.Prompt())) == []


def test_an_override_is_not_shown_as_a_decision_by_votes() -> None:
    shown = prompt(vote("rob"), vote("root"), counts=(count(2, 2, qa=1),), is_open=False).proto
    shown.resolution.answer.CopyFrom(
        pb.Answer(answer_id="o", decision=ACCEPT, user_id="root", source=pb.ANSWER_SOURCE_OVERRIDE)
    )
    overridden = "overridden by root: not decided by votes"
    assert progress_words(PromptInfo(shown)) == [
        overridden,
        "2 of 2 approve: rob, root; 1 more was missing (1 of qa)",
    ]
    del shown.votes[:], shown.vote_counts[:]
    none = "0 of 2 approve; 2 more were missing (1 of qa)"
    assert progress_words(PromptInfo(shown)) == [overridden, none]


@pytest.mark.parametrize(
    ("votes", "words"),
    [
        ([], "zoe has no vote on this prompt; no person has voted"),
        ([vote("amy"), vote("ben")], "zoe has no vote on this prompt; there are votes of amy, ben"),
    ],
)
def test_a_vote_that_does_not_exist_is_explained(votes: list[pb.Vote], words: str) -> None:
    with pytest.raises(LookupError) as caught:
        find_vote(prompt(*votes), "zoe")
    assert str(caught.value) == words


def test_changes_of_votes_name_people_and_not_replaced_votes() -> None:
    before, after = prompt(vote("amy"), vote("ben")), prompt(vote("cat", REJECT, "no"))
    assert (
        changes_of_votes(before, after, None)
        == "cat rejects, the vote of amy has ended, the vote of ben has ended"
    )
    again = vote("amy", REJECT, "no")
    again.answer_id = "amy-2"
    assert changes_of_votes(prompt(vote("amy")), prompt(again), None) == "amy rejects"


def test_a_recorded_vote_says_what_became_of_it() -> None:
    def words(shown: PromptInfo) -> str:
        result = hitl.AnswerResult(
            status=pb.ANSWER_STATUS_RECORDED, answer_id="amy-1", prompt=shown.proto, replayed=True
        )
        outcome = AnswerOutcome.from_proto(result)
        assert outcome.status is AnswerStatus.RECORDED
        return accepted_words(outcome).removeprefix("Recorded: your vote on Go?").partition(" (this")[0]

    assert words(prompt(vote("amy"), counts=(count(1, 2),))) == "; 1 more needed"
    assert words(prompt(vote("ben"), counts=(count(1, 2),))) == "; it does not count any more"
    assert words(prompt(vote("amy"), is_open=False)) == "; it is answered now"


def test_an_approval_is_part_of_the_question() -> None:
    def asked(approval: Approval | int | None) -> pb.PromptContent:
        return prompt_content("Go?", kind="confirm", approval=approval)

    assert asked(2) == asked(Approval(2))
    assert same_question(asked(2), asked(2))
    assert not same_question(asked(2), asked(3))
    assert not same_question(asked(1), asked(None))


@pytest.mark.parametrize("approval", [0, -1, Approval(), Approval(0, reject_at=2), Approval(-1, {"qa": 1})])
def test_an_approval_by_no_person_is_refused(approval: Approval | int) -> None:
    """`approval=len(approvers)` of an empty list must not mean one person."""
    with pytest.raises(ValueError, match="at least 1 person"):
        prompt_content("Go?", kind="confirm", approval=approval)


def test_numbers_of_an_approval_are_checked() -> None:
    assert Approval(per_group={"qa": 2}).to_proto().required == 0  # as many as the groups need
    with pytest.raises(ValueError, match="reject_at= must be at least 1"):
        Approval(2, reject_at=-1).to_proto()


def test_one_text_of_an_exclusion_is_one_key_or_name() -> None:
    named = Exclude(answerers_of="first", names="user:ana").to_proto()
    assert (list(named.answerers_of), list(named.users)) == (["first"], ["ana"])


def test_an_exclusion_made_of_iterators_can_be_used_twice() -> None:
    exclude = Exclude(names=(f"user:{name}" for name in ("ana", "bob")), answerers_of=iter(["first"]))
    assert exclude.to_proto() == exclude.to_proto()
    again = exclude.to_proto()
    assert (list(again.users), list(again.answerers_of)) == (["ana", "bob"], ["first"])
    assert exclude.covers("bob")


def test_a_malformed_name_of_an_exclusion_is_said_to_be_there() -> None:
    with pytest.raises(ValueError, match=r"^exclude=Exclude\(names=\) takes 'user:NAME'.*not 'ana'"):
        prompt_content("Go?", kind="confirm", exclude=Exclude(names=["ana"]))


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("PROMPT_VOTED", {"decision": "ACCEPT", "groups": ["qa"]}, "question 1: ana votes ACCEPT (qa)"),
        (
            "PROMPT_VOTED",
            {"decision": "REJECT", "replaces": "a"},
            "question 1: ana votes REJECT, in place of an earlier vote",
        ),
        ("VOTE_WITHDRAWN", {}, "question 1: ana withdraws a vote"),
        (
            "PROMPT_EXCLUDED",
            {"users": ["bob"], "answered": "plan"},
            "question 1 excludes bob, who answered plan",
        ),
        (
            "PROMPT_ANSWERED",
            {"decision": "ACCEPT", "source": "OVERRIDE"},
            "question 1 answered by ana (override): ACCEPT",
        ),
    ],
)
def test_events_about_votes_in_words(kind: str, data: dict[str, object], words: str) -> None:
    event = Event("j", 1, kind, JobState.PENDING_HITL, "ana", AT, "p", {"round": 1, **data})
    assert event_words(event) == words


def test_an_equal_vote_is_a_replay_while_the_first_one_counts_as_it_was_cast() -> None:
    def result(shown: PromptInfo, answer_id: str = "amy-1") -> hitl.AnswerResult:
        return hitl.AnswerResult(status=pb.ANSWER_STATUS_RECORDED, answer_id=answer_id, prompt=shown.proto)

    cast, reduced = prompt(vote("amy", groups=["qa"])), prompt(vote("amy"), vote("ben"))
    recorded = RecordedVotes()
    recorded.note(result(cast), b"yes")
    assert recorded.find(cast, b"yes") == "amy-1"
    assert recorded.find(prompt(vote("ben"), *cast.proto.votes), b"yes") == "amy-1"
    assert recorded.find(cast, b"no") == ""
    assert recorded.find(prompt(vote("ben")), b"yes") == ""  # it has ended
    assert recorded.find(reduced, b"yes") == ""  # amy had left the group
    recorded.note(result(reduced), b"yes")  # a replay
    assert recorded.find(reduced, b"yes") == ""
    again = prompt(vote("ben"), vote("amy"))
    again.proto.votes[1].answer_id = "amy-2"
    recorded.note(result(again, "amy-2"), b"yes")
    assert recorded.find(again, b"yes") == "amy-2"
