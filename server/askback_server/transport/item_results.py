"""The results of AnswerPrompts, one for each prompt."""

from __future__ import annotations

from askback.v1 import hitl_service_pb2 as pb
from askback_server.domain.commands import AnswerPrompt
from askback_server.domain.prompts import AnswerResult
from askback_server.transport.convert.prompts import STATE_NUMBERS, STATUS_NUMBERS, violation_messages
from askback_server.transport.errors import fit_violations, to_frame_error


def item_result(answer: AnswerPrompt, verdict: AnswerResult | BaseException) -> pb.AnswerPromptsResult:
    """The result of one answer: its verdict, or why there is none."""
    message = pb.AnswerPromptsResult(prompt_id=answer.ref.prompt_id, answer_id=answer.answer_id)
    if isinstance(verdict, BaseException):
        message.error.CopyFrom(to_frame_error(verdict))
        return message
    message.status = STATUS_NUMBERS[verdict.status]
    message.replayed = verdict.replayed
    message.violations.extend(violation_messages(fit_violations(verdict.violations)))
    message.state = STATE_NUMBERS[verdict.prompt.state]
    message.version = verdict.prompt.version
    return message
