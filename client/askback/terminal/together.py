"""Sends one decision on several prompts: at most one call for each kind of decision, all as one batch."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import TypeVar

from askback._model.enums import DecisionKind
from askback._model.prompts import PromptInfo
from askback._wire.batch import BatchAnswers, BatchResult
from askback.errors import AskbackError

P = TypeVar("P", bound=PromptInfo)


async def send_together(
    answers: BatchAnswers, decided: Iterable[tuple[P, DecisionKind]], comment: str
) -> dict[str, BatchResult | AskbackError]:
    """Answer the prompts, and return the result for each prompt id; the error of a call that failed as a
    whole for each of its prompts.

    The decisions differ where one word stands for several, such as `reject` for REJECT and DISMISS.
    """
    batch_id = uuid.uuid4().hex
    by_decision: dict[DecisionKind, list[P]] = {}
    for prompt, decision in decided:
        by_decision.setdefault(decision, []).append(prompt)
    found: dict[str, BatchResult | AskbackError] = {}
    for decision, prompts in by_decision.items():
        try:
            results = await answers.answer_prompts(prompts, decision, comment=comment, batch_id=batch_id)
        except AskbackError as error:
            found |= {prompt.prompt_id: error for prompt in prompts}
        else:
            found |= {result.prompt.prompt_id: result for result in results}
    return found
