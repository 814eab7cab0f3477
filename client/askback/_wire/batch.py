"""Answers many prompts with one decision, call by call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from askback._model import brief
from askback._model.batches import batch_requests
from askback._model.enums import AnswerStatus, DecisionKind, PromptState, member_of
from askback._model.prompts import PromptInfo
from askback._wire.status import from_frame, refusal
from askback.errors import AskbackError, Violation
from askback.v1 import hitl_service_pb2 as pb
from askback.v1 import prompt_pb2


@dataclass(frozen=True, slots=True, repr=False)
class BatchResult:
    """The result for one prompt of `answer_prompts`.

    `error` is what `answer` would have raised for this prompt; None: the answer is ACCEPTED, or RECORDED as a
    vote. An error that is no verdict leaves `status` and `state` UNSPECIFIED and `version` 0.
    """

    prompt: PromptInfo
    """The prompt as it was shown: the reply has no newer one."""
    answer_id: str
    status: AnswerStatus
    replayed: bool
    """Whether this answer had been judged before, with this verdict."""
    violations: tuple[Violation, ...]
    """Why the answer is INVALID, field by field."""
    state: PromptState
    """The state of the prompt after the answer."""
    version: int
    error: AskbackError | None
    __repr__ = brief.repr_of_batch_result


class BatchAnswers:
    """Answers many prompts with one decision: by calls, or by frames of a console's stream."""

    async def answer_prompts(
        self,
        prompts: Iterable[PromptInfo],
        decision: DecisionKind | str,
        *,
        values: Any = None,
        edits: Mapping[str, str] | None = None,
        comment: str = "",
        batch_id: str | None = None,
    ) -> list[BatchResult]:
        """Answer many prompts with one decision, and return a result for each, in their order.

        Each prompt is answered as it was shown: its revision and digest are sent. Each is judged by itself:
        some may be accepted and others not, so look at the `error` of each result. `values`, `edits` and
        `comment` are the same for all. More than 200 prompts take several calls.

        `batch_id` names the answers (`AnswerInfo.batch_id`) and is generated if not given; each new one is a
        new vote. Give your own to repeat a decision across restarts of your program: an answer that was
        judged before is a replay. Raises ValueError for a prompt that is named twice, and the errors that
        concern all of them, such as Unavailable. Results are never lost: an error of a later call is the
        `error` of the prompts that are left. A console resends a call until its result is known; for the
        scripted human of a test it raises FailedPrecondition.
        """
        results: list[BatchResult] = []
        failed: AskbackError | None = None
        for shown, request in batch_requests(
            [*prompts], decision, values=values, edits=edits, comment=comment, batch_id=batch_id
        ):
            if failed is None:
                try:
                    reply = await self._send_batch(request)
                except AskbackError as error:
                    if not results:
                        raise
                    failed = error
                else:
                    results.extend(map(_from_proto, shown, reply.results))
                    continue
            for prompt, item in zip(shown, request.items, strict=True):
                results.append(_without_verdict(prompt, item.answer_id, failed))
        return results

    async def _send_batch(self, request: pb.AnswerPromptsRequest) -> pb.AnswerPromptsResponse:
        """Answer the prompts of one request. Raises AskbackError."""
        raise NotImplementedError


def _from_proto(prompt: PromptInfo, result: pb.AnswerPromptsResult) -> BatchResult:
    if result.HasField("error"):
        return _without_verdict(prompt, result.answer_id, from_frame(result.error))
    status = member_of(AnswerStatus, prompt_pb2.AnswerStatus, "ANSWER_STATUS_", result.status)
    state = member_of(PromptState, prompt_pb2.PromptState, "PROMPT_STATE_", result.state)
    violations = tuple(Violation(v.field, v.description) for v in result.violations)
    error = refusal(
        result.status, {"prompt_id": result.prompt_id, "state": str(state)}, violations=result.violations
    )
    return BatchResult(
        prompt, result.answer_id, status, result.replayed, violations, state, result.version, error
    )


def _without_verdict(prompt: PromptInfo, answer_id: str, error: AskbackError) -> BatchResult:
    unknown = AnswerStatus.UNSPECIFIED, False, (), PromptState.UNSPECIFIED, 0
    return BatchResult(prompt, answer_id, *unknown, error)
