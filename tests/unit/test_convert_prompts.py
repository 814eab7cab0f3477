"""Prompts and answers keep every field when they are stored and when they are sent."""

from dataclasses import replace
from datetime import timedelta

import pytest

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2 as pb
from askback_server.domain.answers import AnswerSource
from askback_server.domain.commands import PromptRef
from askback_server.domain.documents import resolution_from_json, resolution_to_json
from askback_server.domain.errors import InvalidField, JobNotFound, PermissionDenied, PromptNotFound
from askback_server.domain.json_text import Violation
from askback_server.domain.principals import Principal, Role
from askback_server.domain.prompts import AnswerResult, AnswerStatus, PromptState, Resolution, Submission
from askback_server.ports.clock import uuid7
from askback_server.sessions import frames as f
from askback_server.transport.convert import prompts as convert
from askback_server.transport.convert.values import timestamp
from askback_server.transport.frames_converse import event_bytes
from tests.support.wire_samples import ANSWER, AT, CLOSED, OPEN, RESOLUTION, answer_message, full_content

CONSOLE = Principal("ada", frozenset({Role.CONSOLE}), ("default", "eu"))
CLIENT = Principal("shop", frozenset({Role.CLIENT}), ("default",))


def event(told: f.PromptEvent) -> hitl.PromptEvent:
    return hitl.PromptEvent.FromString(event_bytes(told))


def test_an_open_prompt_keeps_every_field() -> None:
    expected = pb.Prompt(
        prompt_id=OPEN.prompt_id,
        job_id=OPEN.job_id,
        namespace="eu",
        job_type="refund",
        requested_by="carl",
        key="refund",
        round=3,
        revision=2,
        shown_digest="ab" * 32,
        version=17,
        state=pb.PROMPT_STATE_PENDING,
        claimed_by="ada",  # with its expiry time, so that a reader can see that it has expired
        claim_expire_time=timestamp(AT - timedelta(days=1)),
        create_time=timestamp(AT),
        update_time=timestamp(AT + timedelta(seconds=1)),
        expire_time=timestamp(AT + timedelta(seconds=2)),
        submissions=4,
        escalation_step=1,
        next_escalation_time=timestamp(AT + timedelta(minutes=9)),
        remind_count=2,
        last_remind_time=timestamp(AT + timedelta(minutes=3)),
        next_remind_time=timestamp(AT + timedelta(minutes=5)),
        unattended_time=timestamp(AT),
    )
    message = convert.prompt_message(OPEN)
    assert message.content.derived_schema_json
    message.content.ClearField("derived_schema_json")
    expected.content.CopyFrom(full_content())
    expected.votes.add(
        answer_id="a-1",
        user_id="ada",
        decision=pb.DECISION_EDIT,
        outcome="o1",
        values_json=ANSWER.values_json,
        edits=answer_message().edits,
        comment=ANSWER.comment,
        create_time=timestamp(AT),
        groups=["ops"],
        on_behalf_of="ben",
    )
    expected.votes.add(
        answer_id="a-2",
        user_id="bob",
        decision=pb.DECISION_EDIT,
        outcome="o1",
        comment=ANSWER.comment,
        create_time=timestamp(AT),
        on_behalf_of="ben",
    )
    missing = [pb.GroupApproval(group="law", required=1)]
    expected.vote_counts.add(outcome="o1", decision=pb.DECISION_EDIT, votes=2, required=3, missing=missing)
    expected.shortfalls.add(group="law", required=1)
    expected.delegations.add(
        holder="ben",
        giver="ben",
        user="ada",
        transferred=True,
        cause=pb.DELEGATION_CAUSE_PERSON,
        create_time=timestamp(AT),
        comment="please",
    )
    expected.delegations.add(
        holder="cid",
        giver="cid",
        group="law",
        cause=pb.DELEGATION_CAUSE_ABSENCE,
        create_time=timestamp(AT),
        end_time=timestamp(AT + timedelta(days=3)),
    )
    assert message == expected


def test_the_source_of_an_answer_is_stored_and_sent() -> None:
    for source in AnswerSource:
        given = replace(RESOLUTION, answer=replace(ANSWER, source=source))
        stored = resolution_from_json(resolution_to_json(given))
        assert stored == given
        message = convert.prompt_message(replace(CLOSED, resolution=stored))
        assert pb.AnswerSource.Name(message.resolution.answer.source) == f"ANSWER_SOURCE_{source}"


def test_a_closed_prompt_keeps_its_stored_resolution() -> None:
    stored = resolution_from_json(resolution_to_json(RESOLUTION))
    assert stored == RESOLUTION
    message = convert.prompt_message(replace(CLOSED, resolution=stored))
    assert message.resolution == pb.Resolution(
        state=pb.PROMPT_STATE_ANSWERED,
        answer=answer_message(),
        actor="ada",
        reason="said so",
        time=timestamp(AT),
    )
    assert message.consume_time == timestamp(AT + timedelta(seconds=3))
    assert not message.HasField("claim_expire_time")


@pytest.mark.parametrize("state", [s for s in PromptState if s is not PromptState.PENDING])
def test_every_end_without_an_answer_has_its_state(state: PromptState) -> None:
    ended = replace(CLOSED, state=state, resolution=Resolution(state, "system", AT))
    message = convert.prompt_message(ended)
    assert message.state == message.resolution.state == pb.PromptState.Value(f"PROMPT_STATE_{state}")
    assert not message.resolution.HasField("answer")


def test_prompt_events_carry_version_and_resolution() -> None:
    assert event(f.Upserted(OPEN)).upserted.prompt == convert.prompt_message(OPEN)
    closed = event(f.Closed(CLOSED)).closed
    assert (closed.prompt_id, closed.job_id, closed.version) == (CLOSED.prompt_id, CLOSED.job_id, 17)
    assert closed.answer_id == "a-1"
    assert closed.resolution.answer == answer_message()
    expired = replace(CLOSED, resolution=Resolution(PromptState.EXPIRED, "system", AT))
    assert event(f.Closed(expired)).closed.answer_id == ""
    assert event(f.Removed("p", 4)).removed == hitl.PromptRemoved(prompt_id="p", version=4)


def test_each_answer_status_has_its_number_and_violations() -> None:
    wrong = (Violation("values_json/n", "must be at most 3"),)
    said = [pb.FieldViolation(field="values_json/n", description="must be at most 3")]
    for status in AnswerStatus:
        number = pb.AnswerStatus.Value(f"ANSWER_STATUS_{status}")
        result = AnswerResult(status, "a-1", OPEN, True, wrong)
        assert hitl.AnswerResult.FromString(convert.result_bytes(result)) == hitl.AnswerResult(
            status=number,
            replayed=True,
            answer_id="a-1",
            prompt=convert.prompt_message(OPEN),
            violations=said,
        )
        record = convert.record_message(Submission("p", "j", ANSWER, status, "d", 9, wrong))
        assert record == pb.AnswerRecord(answer=answer_message(), status=number, violations=said)


def test_a_prompt_is_named_by_its_id_or_by_job_and_key() -> None:
    one, other = uuid7(), uuid7()
    assert convert.prompt_ref(one, "", "") == PromptRef(one)
    assert convert.prompt_ref("", one, "k") == PromptRef("", one, "k")
    for wrong in ((one, other, "k"), (one, "", "k"), ("", "", ""), ("", one, ""), ("", "", "k")):
        with pytest.raises(InvalidField):
            convert.prompt_ref(*wrong)
    for unknown in (("1881", "", ""), ("", "1881", "k"), (one.upper(), "", "")):
        with pytest.raises(PromptNotFound):
            convert.prompt_ref(*unknown)


def test_a_consoles_view_is_limited_to_its_viewer() -> None:
    message = hitl.PromptFilter(job_types=["a"], kinds=["b"], labels={"c": "d"}, groups=["e"])
    view = convert.prompt_watch_filter(message, "eu", CONSOLE)
    assert view.viewer is CONSOLE
    assert (view.namespace, view.job_types, view.kinds) == ("eu", ("a",), ("b",))
    assert (view.labels, view.groups, view.job_id) == ({"c": "d"}, ("e",), "")
    assert view.states == (PromptState.PENDING,)
    with pytest.raises(InvalidField, match="states"):
        convert.prompt_watch_filter(hitl.PromptFilter(states=[1]), "", CONSOLE)
    with pytest.raises(PermissionDenied):
        convert.prompt_watch_filter(message, "", CLIENT)
    with pytest.raises(PermissionDenied):
        convert.prompt_watch_filter(message, "us", CONSOLE)


def test_a_list_is_for_a_console_or_with_a_job_for_the_asker() -> None:
    def view(principal: Principal, **filter: object) -> object:
        request = hitl.ListPromptsRequest(filter=hitl.PromptFilter(**filter))  # type: ignore[arg-type]
        return convert.prompt_list_filter(request, principal)

    job = uuid7()
    assert view(CONSOLE).viewer is CONSOLE  # type: ignore[attr-defined]
    assert view(CONSOLE, job_id=job).viewer is CONSOLE  # type: ignore[attr-defined]
    assert view(CLIENT, job_id=job).viewer is None  # type: ignore[attr-defined]
    assert view(CLIENT, job_id=job, states=[2, 1]).states == (  # type: ignore[attr-defined]
        PromptState.ANSWERED,
        PromptState.PENDING,
    )
    with pytest.raises(PermissionDenied):
        view(CLIENT)
    with pytest.raises(JobNotFound):
        view(CLIENT, job_id="1881")
    with pytest.raises(InvalidField) as refused:
        view(CONSOLE, states=[0, 1, 99])
    assert [v.field for v in refused.value.violations] == ["filter.states[0]", "filter.states[2]"]
