"""Converts replies of calls to response messages, for unary calls and for frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from askback.v1 import hitl_service_pb2, worker_service_pb2
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import AnswerResult, Prompt
from askback_server.domain.replies import JobVersion, PromptAsked
from askback_server.sessions.frames import Reply, Response
from askback_server.transport.convert.jobs import job_message
from askback_server.transport.convert.prompts import prompt_bytes, result_bytes
from askback_server.transport.wire import varint, within

M = TypeVar("M", bound=Message)
_BITS = (1 << 64) - 1
"""An int64 is encoded as the unsigned number with the same bits."""


def response(kind: type[M], reply: Response) -> M:
    """The response message of a unary call."""
    return kind.FromString(reply_bytes(reply))


def reply_bytes(reply: Response) -> bytes:
    """The serialised response of a call. The reply of a read is its response message."""
    make = _MAKE.get(type(reply))
    if make is not None:
        return make(reply)
    assert isinstance(reply, Message)
    return reply.SerializeToString()


def reply_writer(frame: type[Message]) -> Callable[[int, Reply], bytes]:
    """A function that serialises a frame with a reply, from its `ref` and the reply."""
    fields = frame.DESCRIPTOR.oneofs_by_name["body"].fields
    members = {field.name: within(frame, field.name) for field in fields}

    ref_tag = varint(frame.DESCRIPTOR.fields_by_name["ref"].number << 3)

    def write(ref: int, reply: Reply) -> bytes:
        return ref_tag + varint(ref & _BITS) + members[reply.name](reply_bytes(reply.response))

    return write


def _prompt_reply_bytes(reply: PromptAsked) -> bytes:
    return _REPLAYED[reply.replayed] + _PROMPT(prompt_bytes(reply.prompt))


# Responses with the same content have it in the same field, so one encoding serves all: a test checks this.
_PROMPT = within(worker_service_pb2.AskPromptResponse, "prompt")
_REPLAYED = [worker_service_pb2.AskPromptResponse(replayed=r).SerializeToString() for r in (False, True)]
_JOB = within(worker_service_pb2.CompleteJobResponse, "job")
_VERSION = worker_service_pb2.SaveCheckpointResponse
_RESULT = within(hitl_service_pb2.AnswerPromptResponse, "result")

# Any: each function takes a reply of its key's type.
_MAKE: dict[type[Any], Callable[[Any], bytes]] = {
    AnswerResult: lambda result: _RESULT(result_bytes(result)),
    Job: lambda job: _JOB(job_message(job).SerializeToString()),
    Prompt: lambda prompt: _PROMPT(prompt_bytes(prompt)),
    PromptAsked: _prompt_reply_bytes,
    JobVersion: lambda reply: _VERSION(version=reply.version).SerializeToString(),
}
