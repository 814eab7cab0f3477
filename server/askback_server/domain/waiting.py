"""A job that waits for several prompts, and may go on with the first that is resolved."""

from __future__ import annotations

from askback_server.domain.aggregate import Change
from askback_server.domain.commands import ReleaseJob
from askback_server.domain.events import EventType
from askback_server.domain.jobs import JobState, Wake
from askback_server.domain.life import move
from askback_server.domain.transitions import JobTrigger


def open_blocking(change: Change) -> int:
    """How many open prompts block, those included that hold nothing since the job ran on."""
    if change.job.wake is Wake.ALL:
        return change.job.open_blocking
    return sum(1 for prompt in change.open if prompt.content.blocking)


def wait_again(change: Change) -> None:
    """The job runs after one of several answers, and asks again for a prompt that is open: all that block
    hold it again."""
    if change.job.state is JobState.RUNNING and (blocking := open_blocking(change)):
        # The run began with an answer: its holder may be at work on it.
        change.set(open_blocking=blocking, wake=Wake.DUE)
        move(change, JobTrigger.WAIT)
        change.record(EventType.JOB_WAITS)


def can_continue(change: Change, command: ReleaseJob) -> bool:
    """Whether the function of a released job did not only wait for open prompts, or may not have."""
    if command.at_work or not command.awaited:
        return command.at_work or change.job.wake is Wake.DUE
    # An answer that it waits for may have crossed the release.
    still_open = {prompt.key for prompt in change.open}
    return not still_open.issuperset(command.awaited)
