"""`askback completion SHELL`, and the completion of job ids."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

_HOW = {
    "bash": 'eval "$(askback completion bash)"         in ~/.bashrc',
    "zsh": 'eval "$(askback completion zsh)"          in ~/.zshrc, after compinit',
    "fish": "askback completion fish | source          in ~/.config/fish/config.fish",
}


@click.command(epilog="\b\n" + "\n".join(_HOW.values()))
@click.argument("shell", type=click.Choice(list(_HOW)))
def completion(shell: str) -> None:
    """Print the shell's completion script."""
    from askback.cli import main
    from askback.cli.shells import completion_class

    click.echo(completion_class(shell)(main, {}, "askback", "_ASKBACK_COMPLETE").source())


def unfinished_jobs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Handles of jobs that have not ended."""
    return _jobs(ctx, incomplete, (1, 2, 3))


def finished_jobs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Handles of jobs that have ended."""
    return _jobs(ctx, incomplete, (4, 5, 6))


def any_job(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Handles of the newest jobs."""
    return _jobs(ctx, incomplete, ())


def _jobs(ctx: click.Context, incomplete: str, states: Iterable[int]) -> list[CompletionItem]:
    """Handles of the newest jobs in these states (numbers of the contract), with type and state."""
    from askback._text.handle import completions
    from askback._text.text import one_line
    from askback.cli.candidates import newest_jobs
    from askback.v1 import job_pb2

    found = newest_jobs(ctx, states)
    matching = completions((job.job_id for job in found), incomplete)
    return [
        CompletionItem(
            matching[job.job_id],
            help=one_line(f"{job.job_type} {job_pb2.JobState.Name(job.state)[10:].lower()}"),
        )
        for job in found
        if job.job_id in matching
    ]
