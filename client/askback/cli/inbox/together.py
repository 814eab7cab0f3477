"""Answers several prompts at once: one decision for all that are named, and a verdict for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from askback._model.prompts import AnswerOutcome
from askback.errors import AnswerInvalid, AskbackError, PromptClosed, PromptStale, Unimplemented
from askback.terminal.together import send_together

if TYPE_CHECKING:
    from askback._client.client import Client
    from askback._model.enums import DecisionKind
    from askback._model.prompts import PromptInfo
    from askback._wire.batch import BatchResult

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
    found: dict[str, Verdict] = {}
    for prompt in unique:
        result = results[prompt.prompt_id]
        if isinstance(result, Unimplemented):  # an older server: these commands worked with it before
            found[prompt.prompt_id] = await _answer_alone(client, prompt, which(prompt), comment)
        elif isinstance(result, AskbackError):
            found[prompt.prompt_id] = result
        else:
            found[prompt.prompt_id] = await _verdict_of(client, result)
    return {name: found[prompt.prompt_id] for name, prompt in named.items()}


async def _answer_alone(client: Client, prompt: PromptInfo, decision: DecisionKind, comment: str) -> Verdict:
    try:
        return await client.answer(prompt, decision, comment=comment)
    except AskbackError as error:
        return error


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
