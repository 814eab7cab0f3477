"""What became true: handed from the engine, or read by the feed, to everybody who follows."""

from __future__ import annotations

from dataclasses import dataclass

from askback_server.domain.events import Event
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Committed:
    """A job as it is after a commit, and the prompts that changed.

    `events` are those of this commit; empty if it was learnt from the feed, where readers fill the
    gap in `seq` by reading.
    """

    job: Job
    prompts: tuple[Prompt, ...] = ()
    events: tuple[Event, ...] = ()
    deleted: bool = False
