"""Jobs that wait for several prompts, and may continue when the first one is resolved."""

from __future__ import annotations

from askback_server.domain.aggregate import Change
from askback_server.domain.commands import ReleaseJob
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState, Wake
from askback_server.domain.life import move
from askback_server.domain.transitions import JobTrigger


def open_blocking(change: Change) -> int:
    """The number of open blocking prompts, including those that the job does not wait for at the moment."""
    if change.job.wake is Wake.ALL:
        return change.job.open_blocking
    return sum(1 for prompt in change.open if prompt.content.blocking)


def wait_again(change: Change) -> None:
    """Block a job that was resumed by one of several answers, and asks again for a prompt that is open.

    All open blocking prompts block it again.
    """
    if change.job.state is JobState.RUNNING and (blocking := open_blocking(change)):
        # This run was started by an answer, and the holder may be working on it.
        change.set(open_blocking=blocking, wake=Wake.DUE)
        move(change, JobTrigger.WAIT)
        change.record(EventType.JOB_WAITS)


def can_continue(change: Change, command: ReleaseJob) -> bool:
    """Whether a released job must run again at once: its function may have more to do than wait."""
    if command.at_work or not command.awaited:
        return command.at_work or change.job.wake is Wake.DUE
    # An awaited prompt may have been resolved while the release was on its way.
    still_open = {prompt.key for prompt in change.open}
    return not still_open.issuperset(command.awaited)
