"""A committed change, as the engine publishes it or the feed reads it from the log."""

from __future__ import annotations

from dataclasses import dataclass

from askback_server.domain.events import Event, EventType
from askback_server.domain.evolve import fast_init
from askback_server.domain.jobs import Job
from askback_server.domain.prompts import Prompt


@fast_init
@dataclass(frozen=True, slots=True)
class Committed:
    """A job after a commit, with the prompts that the commit changed.

    `events` are the events of this commit. They are empty if the change was read by the feed, and then
    `prompts` has only what a session of this replica can get. For a job that another replica deleted, only
    id, namespace and version are known: its `job_type` is empty.
    """

    job: Job
    prompts: tuple[Prompt, ...] = ()
    events: tuple[Event, ...] = ()
    deleted: bool = False
    learnt_late: frozenset[str] = frozenset()
    """Set when `events` is empty: the prompts that received a late answer."""
    lost: frozenset[str] = frozenset()
    """Prompts that changed and were deleted, with their job, before they could be read."""

    @property
    def before(self) -> int:
        """The job's version before this commit; its version where `events` is empty."""
        return self.events[0].seq - 1 if self.events else self.job.version

    @property
    def late(self) -> frozenset[str]:
        """The prompts that received a late answer in this commit."""
        if not self.events:
            return self.learnt_late
        return frozenset(e.prompt_id for e in self.events if e.type is EventType.ANSWER_LATE and e.prompt_id)


@fast_init
@dataclass(frozen=True, slots=True)
class ChangedPrompts:
    """Changed prompts of one job, for sessions that show prompts and no jobs."""

    job_id: str
    version: int
    """The job's version after the change."""
    prompts: tuple[Prompt, ...] = ()
    lost: frozenset[str] = frozenset()
    """See `Committed.lost`."""
