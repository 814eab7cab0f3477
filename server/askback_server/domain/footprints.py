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
    answer = None if prompt.resolution is None else prompt.resolution.answer
    details = DETAIL_BYTES * prompt.content.details
    return PROMPT_BYTES + details + bytes_of_texts(prompt.content) + bytes_of_texts(answer)
