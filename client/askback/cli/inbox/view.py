"""Which prompts a command speaks of: options that narrow a view, and prompts by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from askback.cli.completion import WAIT

if TYPE_CHECKING:
    from askback.client import Client


def view_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that narrow a view of prompts."""
    options = (
        click.option("--kind", "kinds", multiple=True, help="Of this kind: confirm, clarify, preview, …"),
        click.option(
            "--label",
            "label_pairs",
            multiple=True,
            metavar="NAME=VALUE",
            help="With this label; repeated for one NAME: any of the values.",
        ),
        click.option(
            "--for-group", "for_groups", multiple=True, metavar="GROUP", help="Asked of this group."
        ),
        click.option(
            "--type", "job_types", multiple=True, metavar="TYPE", help="Asked by jobs of this type."
        ),
        click.option("--job", "job_id", default="", metavar="JOB", help="Asked by this job."),
    )
    for option in reversed(options):
        function = option(function)
    return function


async def view(client: Client, options: dict[str, Any]) -> dict[str, Any]:
    """The values of `view_options` as the SDK's arguments.

    Raises click.UsageError, and for a job's handle that names no one job NotFound or Ambiguous.
    """
    from askback.cli.job_input import label_conditions
    from askback.cli.naming import job_id_of

    rest = {name: value for name, value in options.items() if name != "label_pairs"}
    job_id = await job_id_of(client, options["job_id"]) if options["job_id"] else ""
    return {**rest, "job_id": job_id, "labels": label_conditions(options["label_pairs"])}


def open_prompts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Handles of open prompts with their titles, the most urgent first; none on any error."""
    import asyncio
    import os

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from askback.cli.connection import Connection
    from askback.handle import completed
    from askback.text import one_line
    from askback.v1 import hitl_service_pb2 as pb
    from askback.v1 import prompt_pb2
    from askback.v1.hitl_service_pb2_grpc import HitlServiceStub

    connection = Connection.of(ctx.params)
    endpoint = connection.endpoint()
    request = pb.ListPromptsRequest(namespace=connection.namespace, page_size=100)

    async def listed() -> list[prompt_pb2.Prompt]:
        async with endpoint.open() as channel:
            stub = HitlServiceStub(channel)
            return list((await stub.ListPrompts(request, timeout=WAIT, metadata=endpoint.metadata())).prompts)

    import grpc

    try:
        found = asyncio.run(listed())
    except grpc.RpcError:
        return []
    matching = completed((prompt.prompt_id for prompt in found), incomplete)
    return [
        CompletionItem(
            matching[prompt.prompt_id], help=one_line(f"[{prompt.content.kind}] {prompt.content.title}", 70)
        )
        for prompt in found
        if prompt.prompt_id in matching
    ]
