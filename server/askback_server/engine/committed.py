"""What became true: handed from the engine, or read by the feed, to everybody who follows."""

from __future__ import annotations

from dataclasses import dataclass

from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Committed:
    """A job as it is after a commit, and the prompts that changed.

    `events` are those of this commit; empty if it was learnt from the feed, where readers fill the
    gap in `seq` by reading. Of a job that another replica deleted no more than its id, namespace and
    version may be known: then its `job_type` is empty.
    """

    job: Job
    prompts: tuple[Prompt, ...] = ()
    events: tuple[Event, ...] = ()
    deleted: bool = False
    learnt_late: frozenset[str] = frozenset()
    """Without events: the prompts that had a late answer."""
    lost: frozenset[str] = frozenset()
    """Of a deleted job: prompts that changed before, and nobody was told how."""

    @property
    def late(self) -> frozenset[str]:
        """The prompts that had a late answer."""
        if not self.events:
            return self.learnt_late
        return frozenset(e.prompt_id for e in self.events if e.type is EventType.ANSWER_LATE and e.prompt_id)
