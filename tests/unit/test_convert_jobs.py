"""Jobs, events and related values keep every field when they become messages."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback.v1 import job_pb2 as pb
from askback.v1 import job_service_pb2 as service
from askback.v1 import worker_service_pb2 as workers
from askback_server.domain.errors import InvalidField, PermissionDenied
from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import Checkpoint, DeepUnderstanding, Failure, Job, JobState, Progress
from askback_server.domain.limits import Limits
from askback_server.domain.principals import Principal, Role
from askback_server.ports.queries import JobFilter
from askback_server.sessions.work_frames import JobLeased
from askback_server.transport.convert import jobs as convert
from askback_server.transport.convert import values
from askback_server.transport.convert.leases import leased_job_message
from askback_server.transport.convert.prompts import prompt_message
from askback_server.transport.convert.values import timestamp
from tests.support.wire_samples import AT, CLOSED, OPEN

CLIENT = Principal("shop", frozenset({Role.CLIENT}), ("default", "eu"))


def at(seconds: int) -> datetime:
    return AT + timedelta(seconds=seconds)


FULL = Job(
    job_id="j",
    namespace="eu",
    job_type="refund",
    user_id="ada",
    state=JobState.FAILED,
    created_at=at(1),
    updated_at=at(2),
    input_json=' {"b":1, "a":2}',
    result_json="[ ]",
    failure=Failure("ValueError", "no such order", "{}"),
    progress=Progress(3, 4, 75.0, "packing"),
    priority=-3,
    labels={"a": "b", "c": ""},
    promoted=True,
    attempt=2,
    max_attempts=5,
    rounds=7,
    open_prompts=2,
    open_blocking=1,
    version=2**40,
    token=2**41,
    ready_at=at(5),
    session_id="s",
    worker_id="w-1",
    holder="h",
    completed_at=at(3),
    cancel_requested_at=at(6),
    cancel_at=at(7),
    cancel_reason="r",
    cancelled_by="eve",
    retention=timedelta(days=2, microseconds=5),
    timeout=timedelta(hours=1),
    expires_at=at(9),
    run_timeout=timedelta(minutes=1),
    run_until=at(10),
    run_left=timedelta(seconds=3),
    purge_at=at(8),
    request_id="r-1",
    request_digest="d",
    retried_from="before",
    root="first",
    carried_answers=2,
    workerless=True,
    checkpoints=9,
    understanding_version=3,
)


def test_a_full_job_keeps_every_field() -> None:
    assert convert.job_message(FULL) == pb.Job(
        job_id="j",
        namespace="eu",
        job_type="refund",
        user_id="ada",
        state=pb.JOB_STATE_FAILED,
        input_json=' {"b":1, "a":2}',
        result_json="[ ]",
        failure=pb.Failure(code="ValueError", message="no such order", details_json="{}"),
        progress=pb.Progress(done=3, total=4, percent=75.0, message="packing"),
        priority=-3,
        labels={"a": "b", "c": ""},
        promoted=True,
        attempt=2,
        max_attempts=5,
        rounds=7,
        open_prompts=2,
        open_blocking_prompts=1,
        version=2**40,
        token=2**41,
        worker_id="w-1",
        create_time=timestamp(at(1)),
        update_time=timestamp(at(2)),
        complete_time=timestamp(at(3)),
        ready_time=timestamp(at(5)),
        cancel_request_time=timestamp(at(6)),
        retention=values.duration(timedelta(days=2, microseconds=5)),
        timeout=values.duration(timedelta(hours=1)),
        expire_time=timestamp(at(9)),
        run_timeout=values.duration(timedelta(minutes=1)),
        run_expire_time=timestamp(at(10)),
        purge_time=timestamp(at(8)),
        request_id="r-1",
        retried_from_job_id="before",
        root_job_id="first",
        cancel_reason="r",
        cancelled_by="eve",
        workerless=True,
    )


def test_every_field_of_the_job_message_is_set() -> None:
    assert {f.name for f, _ in convert.job_message(FULL).ListFields()} == {
        f.name for f in pb.Job.DESCRIPTOR.fields if f.name != "head_only"
    }
    message = prompt_message(
        replace(CLOSED, claimed_by="x", claimed_until=AT, same_digest="d2", asked_digest="d3")
    )
    assert {f.name for f, _ in message.ListFields()} == {f.name for f in message.DESCRIPTOR.fields}


def test_absent_values_of_a_job_are_unset() -> None:
    bare = Job("j", "eu", "refund", "ada", JobState.PENDING, at(1), at(2))
    message = convert.job_message(bare)
    for name in ("failure", "progress", "complete_time", "ready_time", "retention", "purge_time"):
        assert not message.HasField(name)
    assert convert.job_message(replace(bare, retention=timedelta(0))).HasField("retention")


@pytest.mark.parametrize("state", JobState)
def test_every_job_state_has_its_number(state: JobState) -> None:
    assert convert.job_message(replace(FULL, state=state)).state == pb.JobState.Value(f"JOB_STATE_{state}")


@pytest.mark.parametrize("type", EventType)
def test_every_event_type_has_its_number_and_keeps_its_fields(type: EventType) -> None:
    event = Event("j", 7, type, "ada", AT, JobState.RUNNING, "eu", "c", "p", {"n": 2**60, "t": "ü"})
    message = convert.event_message(event)
    assert message.type == pb.JobEventType.Value(f"JOB_EVENT_TYPE_{type}")
    assert json.loads(message.data_json) == {"n": 2**60, "t": "ü"}
    assert (message.job_id, message.seq, message.actor, message.prompt_id) == ("j", 7, "ada", "p")
    assert (message.time, message.state) == (timestamp(AT), pb.JOB_STATE_RUNNING)
    bare = convert.event_message(replace(event, prompt_id=None, data=None))
    assert (bare.prompt_id, bare.data_json) == ("", "")


def test_every_enum_of_the_contract_has_its_domain_twin() -> None:
    # WITHHELD stands for an event that the caller may not see.
    made = {"JOB_EVENT_TYPE_UNSPECIFIED", "JOB_EVENT_TYPE_WITHHELD"}
    assert set(pb.JobEventType.keys()) == made | {f"JOB_EVENT_TYPE_{t}" for t in EventType}
    assert set(pb.JobState.keys()) == {"JOB_STATE_UNSPECIFIED"} | {f"JOB_STATE_{s}" for s in JobState}


def test_a_deep_understanding_state_keeps_every_field() -> None:
    state = DeepUnderstanding("j", '["q"]', '["a"]', '["r"]', "summary", "problem", 0.75, True, 4, AT)
    message = convert.understanding_message(state)
    assert {f.name for f, _ in message.ListFields()} == {f.name for f in message.DESCRIPTOR.fields}
    for field in fields(state):
        if field.name != "updated_at":
            assert getattr(message, field.name) == getattr(state, field.name)
    assert message.update_time == timestamp(AT)
    assert not convert.understanding_message(DeepUnderstanding("j")).HasField("update_time")


def test_a_leased_job_carries_prompts_and_checkpoints() -> None:
    saved = Checkpoint("j", "step", "[1]", AT)
    message = leased_job_message(JobLeased(FULL, (CLOSED, OPEN), (saved,), more=True))
    assert message == workers.LeasedJob(
        job=convert.job_message(FULL),
        token=FULL.token,
        prompts=[prompt_message(CLOSED), prompt_message(OPEN)],
        checkpoints=[workers.Checkpoint(key="step", value_json="[1]", create_time=timestamp(AT))],
        more=True,
    )


def test_a_job_filter_keeps_every_field() -> None:
    message = service.JobFilter(
        states=[1, 4],
        job_types=["a"],
        user_ids=["u"],
        labels={"k": "v"},
        created_after=timestamp(at(1)),
        created_before=timestamp(at(2)),
    )
    expected = JobFilter(
        "eu", (JobState.PENDING, JobState.COMPLETED), ("a",), ("u",), {"k": "v"}, at(1), at(2)
    )
    assert convert.job_filter(message, "eu", CLIENT) == expected
    assert convert.job_filter(service.JobFilter(), "", CLIENT) == JobFilter("default")
    with pytest.raises(PermissionDenied):
        convert.job_filter(service.JobFilter(), "us", CLIENT)
    message.states[:] = [0]
    message.created_after.nanos = -1
    with pytest.raises(InvalidField) as refused:
        convert.job_filter(message, "", CLIENT)
    assert [v.field for v in refused.value.violations] == ["filter.states[0]", "filter.created_after"]


_FIRST, _LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)


@given(st.datetimes(_FIRST, _LAST, timezones=st.just(UTC)))
def test_times_keep_their_microseconds(moment: datetime) -> None:
    message = timestamp(moment)
    assert message.ToDatetime(UTC) == moment
    assert values.moment(message, "t") == moment


@given(st.timedeltas(timedelta(days=-3_652_500), timedelta(days=3_652_500)))
def test_spans_keep_their_microseconds(span: timedelta) -> None:
    message = values.duration(span)
    assert message.ToTimedelta() == span
    assert values.any_span(message, "d") == span
    if span <= timedelta(0):
        with pytest.raises(InvalidField, match="longer than 0 s"):
            values.span(message, "d")
    else:
        assert values.span(message, "d") == span


@pytest.mark.parametrize("read", [values.span, values.any_span])
@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(2**62, 0), (-(2**62), 0), (1, 2**30), (0, 10**9), (0, -(10**9)), (1, -1), (-1, 1)],
)
def test_an_invalid_span_is_refused(read: Any, seconds: int, nanos: int) -> None:
    message = values.Duration(seconds=seconds, nanos=nanos)
    with pytest.raises(InvalidField, match=r"is not a google\.protobuf\.Duration"):
        read(message, "d")


@pytest.mark.parametrize(("seconds", "nanos"), [(0, 0), (0, 999), (0, -1), (-1, 0), (-1, -1)])
def test_a_span_must_be_positive(seconds: int, nanos: int) -> None:
    with pytest.raises(InvalidField) as refused:
        values.span(values.Duration(seconds=seconds, nanos=nanos), "d")
    assert [v.field for v in refused.value.violations] == ["d"]


def test_page_sizes_and_waits_are_limited() -> None:
    limits = Limits()
    assert [values.page_size(n, limits) for n in (0, 1, 10_000)] == [50, 1, 500]
    with pytest.raises(InvalidField):
        values.page_size(-1, limits)
    request = workers.AwaitPromptRequest()
    assert values.wait_seconds(request, limits) == 0
    request.wait.seconds = 3600
    assert values.wait_seconds(request, limits) == 60
    request.wait.CopyFrom(values.Duration(nanos=500_000_000))
    assert values.wait_seconds(request, limits) == 0.5
    request.wait.CopyFrom(values.Duration())
    with pytest.raises(InvalidField):
        values.wait_seconds(request, limits)


def test_a_namespace_that_only_a_star_allows_must_still_be_a_name() -> None:
    client = Principal("x", frozenset({Role.CLIENT}), ("default", "*"))
    assert values.namespace("", client) == "default"
    assert values.namespace("shop/eu", client) == "shop/eu"
    for wrong in ("a b", "a\0", "x" * 200, "*"):
        with pytest.raises(InvalidField):
            values.namespace(wrong, client)
