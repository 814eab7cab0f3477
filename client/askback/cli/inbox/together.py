"""Answers several prompts at once: one decision for all that are named, and a verdict for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from askback._model.prompts import AnswerOutcome
from askback.errors import AnswerInvalid, AskbackError, PromptClosed, PromptStale
from askback.terminal.together import send_together

if TYPE_CHECKING:
    from askback._client.client import Client
    from askback._model.batches import BatchResult
    from askback._model.enums import DecisionKind
    from askback._model.prompts import PromptInfo

Verdict = AnswerOutcome | AskbackError


async def answer_together(
    client: Client,
    named: Mapping[str, PromptInfo],
    which: Callable[[PromptInfo], DecisionKind],
    comment: str,
) -> dict[str, Verdict]:
    """Answer these prompts, given by name, and return the outcome or the error for each name."""
    unique = {prompt.prompt_id: prompt for prompt in named.values()}.values()
    results = await send_together(client, ((prompt, which(prompt)) for prompt in unique), comment)
    found = {
        prompt_id: result if isinstance(result, AskbackError) else await _verdict_of(client, result)
        for prompt_id, result in results.items()
    }
    return {name: found[prompt.prompt_id] for name, prompt in named.items()}


async def _verdict_of(client: Client, result: BatchResult) -> Verdict:
    """The outcome or error as a single answer would have it: with the prompt as it is now, which the batch
    leaves out."""
    error, prompt = result.error, result.prompt
    if error is not None and not isinstance(error, AnswerInvalid | PromptClosed | PromptStale):
        return error
    try:
        prompt = await client.prompt(prompt.prompt_id)
    except AskbackError:  # the verdict stands; only its words have less to say
        if error is not None:
            return error
    if error is not None:
        error.prompt = prompt
        return error
    return AnswerOutcome(result.status, result.answer_id, prompt, result.replayed)
