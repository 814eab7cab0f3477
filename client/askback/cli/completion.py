"""`askback completion SHELL`, and what a shell is told about job ids."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem, get_completion_class

_HOW = {
    "bash": 'eval "$(askback completion bash)"         in ~/.bashrc',
    "zsh": 'eval "$(askback completion zsh)"          in ~/.zshrc, after compinit',
    "fish": "askback completion fish | source          in ~/.config/fish/config.fish",
}
WAIT = 1.0
"""Seconds that a server has; a shell cannot wait longer."""


@click.command(epilog="\b\n" + "\n".join(_HOW.values()))
@click.argument("shell", type=click.Choice(list(_HOW)))
def completion(shell: str) -> None:
    """Print the shell's completion script."""
    from askback.cli import main

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(main, {}, "askback", "_ASKBACK_COMPLETE").source())


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
    """The newest jobs in these states (numbers of the contract), with type and state; none on any error."""
    import asyncio
    import os

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from askback.cli.connection import Connection
    from askback.handle import completed
    from askback.text import one_line
    from askback.v1 import job_pb2
    from askback.v1 import job_service_pb2 as pb
    from askback.v1.job_service_pb2_grpc import JobServiceStub

    try:
        connection = Connection.of(ctx.params)
        endpoint = connection.endpoint()
    except click.UsageError:  # the command itself will say what is wrong
        return []
    request = pb.ListJobsRequest(namespace=connection.namespace, page_size=100)
    request.filter.states.extend(job_pb2.JobState.ValueType(state) for state in states)

    async def listed() -> list[job_pb2.Job]:
        async with endpoint.open() as channel:
            stub = JobServiceStub(channel)
            return list((await stub.ListJobs(request, timeout=WAIT, metadata=endpoint.metadata())).jobs)

    import grpc

    try:
        found = asyncio.run(listed())
    except grpc.RpcError:
        return []
    matching = completed((job.job_id for job in found), incomplete)
    return [
        CompletionItem(
            matching[job.job_id],
            help=one_line(f"{job.job_type} {job_pb2.JobState.Name(job.state)[10:].lower()}"),
        )
        for job in found
        if job.job_id in matching
    ]
