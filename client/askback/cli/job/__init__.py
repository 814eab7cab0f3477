"""`askback job`: start, follow and steer jobs."""

from __future__ import annotations

import click

from askback.cli.lazy import LazyGroup

COMMANDS = {
    "start": ("askback.cli.job.start:start", "Create a job."),
    "ls": ("askback.cli.job.listing:ls", "List jobs, newest first."),
    "show": ("askback.cli.job.show:show", "Show a job and its prompts."),
    "watch": ("askback.cli.job.watch:watch", "Follow a job to its end; the exit code says how it ended."),
    "cancel": ("askback.cli.job.steer:cancel", "Cancel a job."),
    "reroute": (
        "askback.cli.job.reroute:reroute",
        "Change who is asked by an open question, its priority, deadline or escalation.",
    ),
    "update": ("askback.cli.job.change:update", "Change a job's labels, priority or retention."),
    "retry": ("askback.cli.job.steer:retry", "Start a new job like a finished one."),
    "delete": ("askback.cli.job.change:delete", "Delete finished jobs for good."),
    "export": (
        "askback.cli.job.export:export",
        "Write a finished job as a test, or as a conformance vector.",
    ),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def job() -> None:
    """Start, follow and steer jobs."""
