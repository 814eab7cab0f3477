"""Which prompts a command speaks of: options that narrow a view, and prompts by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from askback.cli.completion import WAIT

if TYPE_CHECKING:
    from askback.client import Client
    from askback.prompts import PromptInfo


def view_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that narrow a view of prompts."""
    options = (
        click.option("--kind", "kinds", multiple=True, help="Of this kind: confirm, clarify, preview, …"),
        click.option("--label", "label_pairs", multiple=True, metavar="NAME=VALUE", help="With this label."),
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


def view(options: dict[str, Any]) -> dict[str, Any]:
    """The values of `view_options` as the SDK's arguments. Raises click.UsageError."""
    from askback.cli.job_input import labels

    rest = {name: value for name, value in options.items() if name != "label_pairs"}
    return {**rest, "labels": labels(options["label_pairs"])}


async def named_prompt(client: Client, name: str) -> PromptInfo:
    """A prompt by its id, or as JOB/KEY. Raises NotFound."""
    job_id, slash, key = name.partition("/")
    return await (client.prompt(job_id=job_id, key=key) if slash else client.prompt(name))


def open_prompts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of open prompts with their titles, the most urgent first; none on any error."""
    import asyncio
    import os

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from askback.cli.connection import Connection
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
    return [
        CompletionItem(prompt.prompt_id, help=one_line(f"[{prompt.content.kind}] {prompt.content.title}", 70))
        for prompt in found
        if prompt.prompt_id.startswith(incomplete)
    ]
