"""How much memory the parts of an aggregate take, as estimates.

`tests/contract/test_waiting_jobs.py` compares them with the real sizes.
"""

from __future__ import annotations

from typing import Protocol

from askback_server.domain.prompts import Prompt

JOB_BYTES, PROMPT_BYTES, ANSWER_BYTES = 3_000, 2_500, 1_000
"""Bytes of a job, a prompt and an answer without their texts."""
DETAIL_BYTES = 400
"""Bytes of each detail of a prompt (`PromptContent.details`)."""


class _Sized(Protocol):
    @property
    def size(self) -> int: ...


def bytes_of_texts(sized: _Sized | None) -> int:
    """The bytes of texts: doubled, because most also exist in a cached document."""
    return 0 if sized is None else 2 * sized.size


def bytes_of_prompt(prompt: Prompt) -> int:
    """The bytes of a prompt with its resolution."""
    details = DETAIL_BYTES * prompt.content.details
    return PROMPT_BYTES + details + bytes_of_texts(prompt.content) + _bytes_of_answers(prompt)


def growth_of_prompt(old: Prompt | None, new: Prompt) -> int:
    """By how many bytes a prompt grows; with `old` None it is added."""
    if old is not None and old.content is new.content:
        return _bytes_of_answers(new) - _bytes_of_answers(old)
    return bytes_of_prompt(new) - (0 if old is None else bytes_of_prompt(old))


def _bytes_of_answers(prompt: Prompt) -> int:
    resolution, votes = prompt.resolution, prompt.votes
    size = 0 if resolution is None or resolution.answer is None else bytes_of_texts(resolution.answer)
    return size if votes is None else size + ANSWER_BYTES * len(votes.live) + bytes_of_texts(votes)
