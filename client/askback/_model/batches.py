"""Builds the contract's AnswerPromptsRequest: one decision on many prompts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from askback._model.answers import answer_request
from askback._model.enums import DecisionKind
from askback._model.prompts import PromptInfo
from askback.v1 import hitl_service_pb2 as pb

MAX_ITEMS = 200
"""The maximum number of prompts that one AnswerPrompts call takes."""


def batch_requests(
    prompts: Sequence[PromptInfo],
    decision: DecisionKind | str,
    *,
    values: Any = None,
    edits: Mapping[str, str] | None = None,
    comment: str = "",
    batch_id: str | None = None,
) -> Iterator[tuple[Sequence[PromptInfo], pb.AnswerPromptsRequest]]:
    """Yield the requests that answer these prompts, each with its prompts, at most MAX_ITEMS.

    The id of each answer is derived from `batch_id` (None: a new one), the prompt and its revision, so that
    repeating a batch repeats its answers. Raises ValueError for an unknown decision, a prompt that is named
    twice, and a plain value for forms whose fields differ.
    """
    batch = batch_id or uuid.uuid4().hex
    answers = [
        answer_request(
            prompt, decision, values=values, edits=edits, comment=comment, answer_id=_answer_id(batch, prompt)
        )
        for prompt in prompts
    ]
    if len({answer.prompt_id for answer in answers}) < len(answers):
        raise ValueError("a prompt is named twice; name each once")
    if len({answer.values_json for answer in answers}) > 1:
        raise ValueError("the forms have different fields; give the values by name")
    for start in range(0, len(answers), MAX_ITEMS):
        part = answers[start : start + MAX_ITEMS]
        yield (
            prompts[start : start + MAX_ITEMS],
            pb.AnswerPromptsRequest(
                items=[
                    pb.AnswerPromptsItem(
                        prompt_id=answer.prompt_id,
                        revision=answer.revision,
                        answer_id=answer.answer_id,
                        shown_digest=answer.shown_digest,
                    )
                    for answer in part
                ],
                decision=part[0].decision,
                values_json=part[0].values_json,
                edits=part[0].edits,
                comment=comment,
                batch_id=batch,
            ),
        )


def _answer_id(batch_id: str, prompt: PromptInfo) -> str:
    name = f"{batch_id}/{prompt.prompt_id}/{prompt.revision}"
    return uuid.uuid5(uuid.NAMESPACE_URL, f"askback:batch/{name}").hex
