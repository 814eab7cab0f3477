"""Replies to commands that are more than a job or a prompt."""

from __future__ import annotations

from dataclasses import dataclass

from askback_server.domain.evolve import fast_init
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt


@dataclass(frozen=True, slots=True)
class JobCreated:
    """The new job; or with `replayed` the one that the same request created before."""

    job: Job
    prompt: Prompt | None = None
    replayed: bool = False


@fast_init
@dataclass(frozen=True, slots=True)
class PromptAsked:
    """The prompt; with `replayed` it existed before and the command did not change its content."""

    prompt: Prompt
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class JobVersion:
    """The version of the job after the command."""

    version: int
