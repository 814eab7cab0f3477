"""What a call gives, as the message that answers it: the same for a unary call and for a frame.

A reply is filled in where it is sent, in place: a message that is made first and then put into its
frame is copied twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from askback_server.domain.jobs import Job
from askback_server.domain.prompts import AnswerResult, Prompt
from askback_server.domain.replies import PromptAsked
from askback_server.transport.convert_jobs import put_job
from askback_server.transport.convert_prompts import put_prompt, put_result

M = TypeVar("M", bound=Message)


def filled(response: M, reply: Any) -> M:
    """The response with a reply in it. A read's reply is the response itself."""
    put_reply(response, reply)
    return response


def put_reply(target: Any, reply: Any) -> None:
    """Fill the response of a call."""
    put = _PUTS.get(type(reply))
    if put is not None:
        put(target, reply)
    else:
        target.CopyFrom(reply)


def _asked(target: Any, reply: PromptAsked) -> None:
    put_prompt(target.prompt, reply.prompt)
    target.replayed = reply.replayed


def _version(target: Any, version: int) -> None:
    target.version = version


_PUTS: dict[type[Any], Callable[[Any, Any], None]] = {
    AnswerResult: lambda target, result: put_result(target.result, result),
    Job: lambda target, job: put_job(target.job, job),
    Prompt: lambda target, prompt: put_prompt(target.prompt, prompt),
    PromptAsked: _asked,
    int: _version,
}
