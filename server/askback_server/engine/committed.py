"""A committed change, as the engine publishes it or the feed reads it from the log."""

from __future__ import annotations

from dataclasses import dataclass

from askback_server.domain.events import Event, EventType
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt


@dataclass(frozen=True, slots=True)
class Committed:
    """A job after a commit, with the prompts that the commit changed.

    `events` are the events of this commit. They are empty if the change was read by the feed; a follower that
    needs every event reads the gap in `seq` from the database. For a job that another replica deleted, only
    id, namespace and version may be known: then `job_type` is empty.
    """

    job: Job
    prompts: tuple[Prompt, ...] = ()
    events: tuple[Event, ...] = ()
    deleted: bool = False
    learnt_late: frozenset[str] = frozenset()
    """Set when `events` is empty: the prompts that received a late answer."""
    lost: frozenset[str] = frozenset()
    """Set for a deleted job: prompts that changed shortly before and whose last change was not delivered."""

    @property
    def late(self) -> frozenset[str]:
        """The prompts that received a late answer in this commit."""
        if not self.events:
            return self.learnt_late
        return frozenset(e.prompt_id for e in self.events if e.type is EventType.ANSWER_LATE and e.prompt_id)
