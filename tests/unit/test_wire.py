"""Messages assembled from serialised parts equal those that protobuf produces."""

from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from askback.v1 import hitl_service_pb2 as hitl
from askback.v1 import prompt_pb2, worker_service_pb2
from askback_server.domain.jobs import Job, JobState
from askback_server.domain.prompts import AnswerResult, AnswerStatus
from askback_server.domain.replies import JobVersion, PromptAsked
from askback_server.sessions.frames import Reply, ServerFrame
from askback_server.transport.convert.jobs import job_message
from askback_server.transport.convert.prompts import prompt_message
from askback_server.transport.convert.replies import response
from askback_server.transport.frames_converse import write_converse_frame
from askback_server.transport.frames_work import write_work_frame
from askback_server.transport.wire import EncodeCache, varint, within
from tests.support.wire_samples import AT, CLOSED, OPEN

LENGTHS = [0, 1, 127, 128, 16_383, 16_384, 70_000]
PROMPT, ENDED = prompt_message(OPEN), prompt_message(CLOSED)
JOB = Job("j", "eu", "refund", "ada", JobState.COMPLETED, AT, AT, result_json="{}", version=9)
JOB_MESSAGE = job_message(JOB)

REPLIES: list[tuple[type[Message], str, Any, dict[str, Any]]] = [
    (hitl.ConverseServerFrame, "claim_prompt", OPEN, {"prompt": PROMPT}),
    (hitl.ConverseServerFrame, "withdraw_answer", OPEN, {"prompt": PROMPT}),
    (hitl.ConverseServerFrame, "delegate_prompt", OPEN, {"prompt": PROMPT}),
    (hitl.ConverseServerFrame, "reroute_prompt", OPEN, {"prompt": PROMPT}),
    (
        hitl.ConverseServerFrame,
        "override_prompt",
        AnswerResult(AnswerStatus.ACCEPTED, "a-1", CLOSED),
        {
            "result": hitl.AnswerResult(
                status=prompt_pb2.ANSWER_STATUS_ACCEPTED, answer_id="a-1", prompt=ENDED
            )
        },
    ),
    (hitl.ConverseServerFrame, "release_prompt", OPEN, {"prompt": PROMPT}),
    (hitl.ConverseServerFrame, "cancel_prompt", CLOSED, {"prompt": ENDED}),
    (hitl.ConverseServerFrame, "get_prompt", hitl.GetPromptResponse(prompt=PROMPT), {"prompt": PROMPT}),
    (
        hitl.ConverseServerFrame,
        "answer_prompt",
        AnswerResult(AnswerStatus.ACCEPTED, "a-1", CLOSED, True),
        {
            "result": hitl.AnswerResult(
                status=prompt_pb2.ANSWER_STATUS_ACCEPTED, answer_id="a-1", replayed=True, prompt=ENDED
            )
        },
    ),
    (
        worker_service_pb2.WorkServerFrame,
        "ask_prompt",
        PromptAsked(OPEN, replayed=True),
        {"prompt": PROMPT, "replayed": True},
    ),
    *(
        (worker_service_pb2.WorkServerFrame, name, JobVersion(12), {"version": 12})
        for name in ("report_progress", "acknowledge_prompts", "save_checkpoint")
    ),
    *(
        (worker_service_pb2.WorkServerFrame, name, JOB, {"job": JOB_MESSAGE})
        for name in ("complete_job", "fail_job", "release_job")
    ),
]


@given(st.integers(0, 1 << 40))
def test_a_varint_equals_the_encoding_of_protobuf(number: int) -> None:
    told = hitl.PromptRemoved(version=number).SerializeToString()
    assert told == (b"\x10" + varint(number) if number else b"")


@pytest.mark.parametrize("length", LENGTHS)
def test_nested_messages_equal_the_encoding_of_protobuf(length: int) -> None:
    prompt = prompt_pb2.Prompt(key="x" * length)
    wrap = within(hitl.ConverseResponse, "frames", "prompt_event", "upserted", "prompt")
    event = hitl.PromptEvent(upserted=hitl.PromptUpserted(prompt=prompt))
    whole = hitl.ConverseResponse(frames=[hitl.ConverseServerFrame(prompt_event=event)])
    assert wrap(prompt.SerializeToString()) == whole.SerializeToString()


@pytest.mark.parametrize(("frame", "name", "reply", "fields"), REPLIES, ids=[r[1] for r in REPLIES])
def test_every_reply_fits_its_response(
    frame: type[Any], name: str, reply: Any, fields: dict[str, Any]
) -> None:
    kind = type(getattr(frame(), name))
    expected = kind(**fields)
    assert response(kind, reply) == expected
    for ref in (7, 1 << 40, -1):  # clients choose any number but 0
        answer = ServerFrame(ref, Reply(name, reply), 0)
        if frame is hitl.ConverseServerFrame:
            told: Any = hitl.ConverseResponse.FromString(write_converse_frame(answer))
        else:
            told = worker_service_pb2.WorkResponse.FromString(write_work_frame(answer))
        assert list(told.frames) == [frame(ref=ref, **{name: expected})]


def test_no_reply_is_left_out() -> None:
    of_calls = {
        field.name
        for frame in (hitl.ConverseServerFrame, worker_service_pb2.WorkServerFrame)
        for field in frame.DESCRIPTOR.oneofs_by_name["body"].fields
        if field.message_type.name.endswith("Response")
    }
    # Reads, and calls with several results, return the response itself, as get_prompt does.
    assert of_calls - {r[1] for r in REPLIES} == {
        "answer_prompts",
        "get_receipt",
        "list_prompts",
        "list_answers",
        "list_checkpoints",
    }


def test_the_encode_cache_is_bounded_and_encodes_once() -> None:
    made: list[str] = []

    def make(value: list[str]) -> bytes:
        made.append(value[0])
        return value[0].encode()

    kept = EncodeCache(make, maximum=3, largest=4)
    values = [[name] for name in ("a", "b", "c", "d")]
    for value in values:
        assert kept(value) == kept(value) == value[0].encode()
    assert made == ["a", "b", "c", "d"]
    assert len(kept) == 3
    kept(values[0])
    assert made[-1] == "a"
    large = ["x" * 5]
    assert kept(large) == kept(large)
    assert made[-2:] == ["x" * 5] * 2
