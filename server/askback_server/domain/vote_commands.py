"""Commands on the votes of a prompt, and the override of its rules by an admin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from askback_server.domain.answers import AnswerSource
from askback_server.domain.commands import AnswerPrompt, OnPrompt
from askback_server.domain.evolve import fast_init
from askback_server.domain.prompts import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawAnswer(OnPrompt[Prompt]):
    """Withdraw the caller's vote."""

    answer_id: str


@fast_init
@dataclass(frozen=True, slots=True, kw_only=True)
class OverridePrompt(AnswerPrompt):
    """Resolve a prompt as an admin, whatever its exclusion, approval and claim say."""

    source: AnswerSource = AnswerSource.OVERRIDE
    OVERRIDES: ClassVar[bool] = True
    """Exclusions, approvals and claims do not apply."""
