"""What commands are answered with, where it is more than a job or a prompt."""

from __future__ import annotations

from dataclasses import dataclass

from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt


@dataclass(frozen=True, slots=True)
class JobCreated:
    """The new job, or the one that was there."""

    job: Job
    prompt: Prompt | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class PromptAsked:
    """The prompt, new or as it is by now."""

    prompt: Prompt
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class JobVersion:
    """The version of the job after the command."""

    version: int
